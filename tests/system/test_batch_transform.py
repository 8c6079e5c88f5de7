"""A folder is judged by the model that serves: the real container, with the role that the stack gives it."""

import json
from pathlib import Path
from typing import Any

import pytest

from loupe.stack.target import Target
from tests.system.cloud_process import eventually

pytestmark = pytest.mark.system
SAMPLES = sorted((Path(__file__).parents[2] / "samples").rglob("*.jpg"))[:3]
NOT_JOINED = {"JoinSource": "None"}


@pytest.fixture(scope="module")
def folder(target: Target) -> str:
    """The prefix of a folder with three pictures, and one that cannot be read."""
    s3, bucket = target.s3, bucket_of(target)
    for number, picture in enumerate(SAMPLES):
        s3.upload_file(str(picture), bucket, f"batch/monday/in/line-{number}/{picture.name}")
    s3.put_object(Bucket=bucket, Key="batch/monday/in/torn.jpg", Body=b"no picture")
    return f"s3://{bucket}/batch/monday"


def bucket_of(target: Target) -> str:
    return target.output("ArtefactsBucketName")


def judged(
    target: Target,
    name: str,
    source: Any,
    output: Any,
    processing: Any = NOT_JOINED,
    **environment: str,
) -> Any:
    """The description of a transform job with the model that serves, once the job has ended."""
    sagemaker = target.sagemaker
    endpoint = sagemaker.describe_endpoint(EndpointName=target.output("EndpointName"))
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName=config["ProductionVariants"][0]["ModelName"],
        TransformInput=source,
        TransformOutput=output,
        TransformResources={"InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
        # More processes load the model in more time than three pictures take.
        Environment={"LOUPE_WORKERS": "1"} | environment,
        DataProcessing=processing,
    )

    def ended() -> Any:
        job = sagemaker.describe_transform_job(TransformJobName=name)
        return job if job["TransformJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return eventually(ended)


def pictures(uri: str, **members: str) -> dict[str, Any]:
    return {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}, **members}


def outputs(target: Target, prefix: str) -> dict[str, bytes]:
    s3, bucket = target.s3, bucket_of(target)
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {
        entry["Key"].removeprefix(prefix): s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
        for entry in listed
    }


def test_a_folder_is_judged_by_the_model_that_serves_but_for_a_picture_that_cannot_be_read(
    target: Target, folder: str
) -> None:
    source = pictures(f"{folder}/in/", ContentType="image/jpeg")
    job = judged(target, "monday", source, {"S3OutputPath": f"{folder}/out"})
    # As on AWS, one picture fails the job, and the others have their answers.
    assert (job["TransformJobStatus"], job["FailureReason"]) == (
        "Failed",
        "ClientError: See job logs for more information",
    )
    answers = outputs(target, "batch/monday/out/")
    assert sorted(answers) == [f"line-{number}/{picture.name}.out" for number, picture in enumerate(SAMPLES)]
    for answer in answers.values():
        document = json.loads(answer)
        assert document["model"]["name"] == "starter"
        assert document["image"]["width"] == 200


def test_a_list_of_pictures_becomes_a_list_of_answers_with_the_error_of_the_bad_one(
    target: Target, folder: str
) -> None:
    keys = [f"line-{number}/{picture.name}" for number, picture in enumerate(SAMPLES)] + ["torn.jpg"]
    bucket = bucket_of(target)
    references = [{"bucket": bucket, "key": f"batch/monday/in/{key}"} for key in keys]
    lines = [json.dumps({"part": number, "s3": named}) for number, named in enumerate(references)]
    target.s3.put_object(Bucket=bucket, Key="batch/monday/list.jsonl", Body="\n".join(lines).encode())
    source = pictures(f"{folder}/list.jsonl", ContentType="application/json", SplitType="Line")
    output = {"S3OutputPath": f"{folder}/table", "Accept": "application/json", "AssembleWith": "Line"}
    joined = {"JoinSource": "Input", "OutputFilter": "$['part','SageMakerOutput']"}
    job = judged(target, "monday-list", source, output, processing=joined, LOUPE_ANSWER_UNREADABLE="1")
    assert job["TransformJobStatus"] == "Completed", job
    stored = outputs(target, "batch/monday/table/")["list.jsonl.out"]
    table = [json.loads(line) for line in stored.splitlines()]
    assert [row["part"] for row in table] == [0, 1, 2, 3]
    assert [row["SageMakerOutput"].get("model", {}).get("name") for row in table] == ["starter"] * 3 + [None]
    assert table[3]["SageMakerOutput"]["error"]["code"] == "unsupported_format"

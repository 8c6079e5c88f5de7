"""A folder is judged by batch transform: by the SageMaker SDKs 2 and 3, the AWS CLI and boto3."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.clients.bench import REPOSITORY, Bench
from tests.system.cloud_process import eventually

pytestmark = pytest.mark.clients
SAMPLES = sorted((REPOSITORY / "samples").rglob("*.jpg"))[:3]
FAILED = "ClientError: See job logs for more information"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three pictures, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    for sample in SAMPLES:
        shutil.copy(sample, folder)
    (folder / "torn.jpg").write_bytes(b"no picture")
    return folder


def program_of_the_page(heading: str) -> str:
    """The first Python program under a heading of docs/batch-transform.md."""
    page = (REPOSITORY / "docs" / "batch-transform.md").read_text()
    return page.split(f"## {heading}\n", 1)[1].split("```python\n", 1)[1].split("```", 1)[0]


@pytest.mark.parametrize(("tool", "version"), [("sagemaker2", "2"), ("notebook", "3")])
def test_the_sdks_transformer_judges_a_folder_twice_and_stops(
    bench: Bench, pictures: Path, tool: str, version: str
) -> None:
    found = bench.script(tool, "judge_folder", version, str(pictures), f"sdk{version}")
    names = [f"{sample.name}.out" for sample in SAMPLES]
    assert FAILED in found["failure"]
    assert "torn.jpg: ClientError: 422" in found["log"], found["log"]
    assert sorted(found["out"]) == sorted(names)
    assert all(answer["model"]["name"] == "starter" for answer in found["out"].values())
    assert sorted(found["kept"]) == sorted([*names, "torn.jpg.out"])
    assert found["kept"]["torn.jpg.out"]["error"]["code"] == "unsupported_format"
    bucket = bench.environment["LOUPE_ARTEFACTS_BUCKET"]
    assert found["attached"] == [
        found["model"],
        "SingleRecord",
        f"s3://{bucket}/batch/sdk{version}/kept",
    ]
    assert found["stopped"] == ["Stopped", {}]


def test_a_model_of_the_sdk_judges_a_folder_into_the_sdks_own_place(bench: Bench, pictures: Path) -> None:
    found = bench.script("sagemaker2", "sdk2_transformer", str(pictures))
    bucket = bench.environment["LOUPE_ARTEFACTS_BUCKET"]
    assert found["output"].startswith(f"s3://{bucket}/sagemaker/")
    assert found["errors"] == {
        **{f"{sample.name}.out": None for sample in SAMPLES},
        "torn.jpg.out": "unsupported_format",
    }


def test_the_aws_cli_judges_a_folder(bench: Bench, pictures: Path) -> None:
    bucket = bench.environment["LOUPE_ARTEFACTS_BUCKET"]
    bench.aws("s3", "sync", str(pictures), f"s3://{bucket}/batch/cli/in/", "--exclude", "torn.jpg")
    endpoint = bench.aws_json(
        "sagemaker", "describe-endpoint", "--endpoint-name", bench.environment["LOUPE_ENDPOINT"]
    )
    config = bench.aws_json(
        "sagemaker", "describe-endpoint-config", "--endpoint-config-name", endpoint["EndpointConfigName"]
    )
    source = f"DataSource={{S3DataSource={{S3DataType=S3Prefix,S3Uri=s3://{bucket}/batch/cli/in/}}}}"
    bench.aws(
        *("sagemaker", "create-transform-job", "--transform-job-name", "cli-folder"),
        *("--model-name", config["ProductionVariants"][0]["ModelName"]),
        *("--transform-input", f"{source},ContentType=image/jpeg"),
        *("--transform-output", f"S3OutputPath=s3://{bucket}/batch/cli/out"),
        *("--transform-resources", "InstanceType=ml.c5.2xlarge,InstanceCount=1"),
        *("--environment", "LOUPE_WORKERS=1"),
    )
    sagemaker = bench.cloud.client("sagemaker")
    # `aws sagemaker wait` looks once a minute.
    eventually(
        lambda: (
            sagemaker.describe_transform_job(TransformJobName="cli-folder")["TransformJobStatus"]
            != "InProgress"
        ),
        timeout_s=120,
    )
    job = bench.aws_json("sagemaker", "describe-transform-job", "--transform-job-name", "cli-folder")
    assert job["TransformJobStatus"] == "Completed", job
    bench.aws("s3", "sync", f"s3://{bucket}/batch/cli/out/", str(bench.folder / "answers"))
    answers = sorted((bench.folder / "answers").iterdir())
    assert [file.name for file in answers] == sorted(f"{sample.name}.out" for sample in SAMPLES)
    assert all(json.loads(file.read_text())["image"]["width"] == 200 for file in answers)
    table = bench.run([sys.executable, "-c", program_of_the_page("The answers as a table")]).splitlines()
    assert table[0] == "picture,error,label,score,left,top,right,bottom"
    assert {line.partition(",")[0] for line in table[1:]} == {sample.name for sample in SAMPLES}
    listed = bench.aws_json("sagemaker", "list-transform-jobs", "--name-contains", "cli-folder")
    assert [each["TransformJobStatus"] for each in listed["TransformJobSummaries"]] == ["Completed"]
    events = bench.aws_json(
        *("logs", "filter-log-events", "--log-group-name", "/aws/sagemaker/TransformJobs"),
        *("--log-stream-name-prefix", "cli-folder/", "--filter-pattern", "BatchStrategy"),
    )
    assert "BatchStrategy=SINGLE_RECORD" in events["events"][0]["message"]


def test_boto3_makes_a_table_of_a_list_of_pictures(bench: Bench, pictures: Path) -> None:
    rows = bench.script("", "judge_list", str(pictures))
    assert [row["key"].rpartition("/")[2] for row in rows] == sorted(
        [*(sample.name for sample in SAMPLES), "torn.jpg"]
    )
    assert [row["error"] for row in rows if row["key"].endswith("torn.jpg")] == ["unsupported_format"]
    assert any(row["detections"] for row in rows)

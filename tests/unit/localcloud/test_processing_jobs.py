"""Processing jobs: real child processes, S3 by moto."""

from typing import Any

import pytest

from localcloud.sagemaker.aws_errors import AwsError
from tests.unit.localcloud.stage import BUCKET, ROLE, Stage, eventually

IN, OUT = "/opt/ml/processing/input", "/opt/ml/processing/output"


def request(name: str, *arguments: str, **members: Any) -> dict[str, Any]:
    """A valid CreateProcessingJob request."""
    return {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": "trainer:1",
            "ContainerEntrypoint": ["python", "-m", "training.process"],
            "ContainerArguments": ["--input", IN, "--output", OUT, *arguments],
        },
        "ProcessingInputs": [job_input(IN)],
        "ProcessingOutputConfig": {"Outputs": [output()]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
        },
        "Environment": {"COLOUR": "blue"},
        **members,
    }


def job_input(path: str) -> dict[str, Any]:
    source = {"S3Uri": f"s3://{BUCKET}/data", "LocalPath": path, "S3DataType": "S3Prefix"}
    return {"InputName": "data", "S3Input": source}


def output(mode: str = "EndOfJob") -> dict[str, Any]:
    target = {"S3Uri": f"s3://{BUCKET}/report", "LocalPath": OUT, "S3UploadMode": mode}
    return {"OutputName": "report", "S3Output": target}


def test_a_job_leaves_its_output_and_message(stage: Stage) -> None:
    created = stage.call("CreateProcessingJob", **request("counting"))
    assert created == {"ProcessingJobArn": "arn:aws:sagemaker:us-east-1:000000000000:processing-job/counting"}
    done = stage.ended("ProcessingJob", "counting")
    assert (done["ProcessingJobStatus"], done["ExitMessage"]) == ("Completed", "counted")
    assert done["CreationTime"] <= done["ProcessingStartTime"] <= done["ProcessingEndTime"]
    assert stage.text("report/report.txt") == "9 bytes for blue"
    listed = stage.call("ListProcessingJobs", StatusEquals="Completed")["ProcessingJobSummaries"]
    assert [job["ProcessingJobName"] for job in listed] == ["counting"]
    with pytest.raises(AwsError, match="Job name must be unique") as taken:
        stage.call("CreateProcessingJob", **request("counting"))
    assert taken.value.code == "ResourceInUse"


def test_an_entry_point_may_be_the_name_of_a_program(stage: Stage) -> None:
    job_request = request("named")
    job_request["AppSpecification"]["ContainerEntrypoint"] = ["process"]
    stage.call("CreateProcessingJob", **job_request)
    assert stage.ended("ProcessingJob", "named")["ProcessingJobStatus"] == "Completed"


def test_a_failing_job_has_the_reason(stage: Stage) -> None:
    stage.call("CreateProcessingJob", **request("failing", "--fail", "no images"))
    failed = stage.ended("ProcessingJob", "failing")
    assert failed["FailureReason"] == "AlgorithmError: , exit code: 1"
    assert failed["ExitMessage"] == "no images"
    assert stage.keys("report") == []


def test_a_message_is_cut_after_a_kilobyte(stage: Stage) -> None:
    stage.call("CreateProcessingJob", **request("failing", "--fail", "xü", "--times", "512"))
    assert stage.ended("ProcessingJob", "failing")["ExitMessage"] == "xü" * 341 + "x"


def test_a_message_that_is_no_text_fails_the_job(stage: Stage) -> None:
    stage.call("CreateProcessingJob", **request("failing", "--fail", "\udcff"))
    failed = stage.ended("ProcessingJob", "failing")
    assert failed["FailureReason"].startswith("ClientError: ")
    assert "ExitMessage" not in failed


def test_continuous_output_is_uploaded_while_the_job_runs(stage: Stage) -> None:
    job_request = request(
        "slow", "--seconds", "60", ProcessingOutputConfig={"Outputs": [output("Continuous")]}
    )
    stage.call("CreateProcessingJob", **job_request)
    eventually(lambda: stage.keys("report"))
    assert (
        stage.call("DescribeProcessingJob", ProcessingJobName="slow")["ProcessingJobStatus"] == "InProgress"
    )
    stage.call("StopProcessingJob", ProcessingJobName="slow")
    assert stage.ended("ProcessingJob", "slow")["ProcessingJobStatus"] == "Stopped"
    with pytest.raises(AwsError, match="in status Stopped"):
        stage.call("StopProcessingJob", ProcessingJobName="slow")


def test_a_job_beyond_its_time_is_stopped(stage: Stage) -> None:
    job_request = request("late", "--seconds", "60", StoppingCondition={"MaxRuntimeInSeconds": 1})
    stage.call("CreateProcessingJob", **job_request)
    stopped = stage.ended("ProcessingJob", "late")
    assert stopped["ProcessingJobStatus"] == "Stopped"
    assert "MaxRuntimeInSeconds of 1" in stopped["FailureReason"]


def test_a_job_starts_again_after_a_restart_of_the_cloud(stage: Stage) -> None:
    stage.call("CreateProcessingJob", **request("again", "--seconds", "3"))
    eventually(lambda: (stage.folder / "processing-job-again.log").exists())
    stage.restart()
    assert stage.ended("ProcessingJob", "again")["ProcessingJobStatus"] == "Completed"
    assert stage.text("report/report.txt") == "9 bytes for blue"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"AppSpecification": {"ImageUri": "i"}}, "ContainerEntrypoint"),
        ({"AppSpecification": {}}, "ImageUri"),
        ({"ProcessingInputs": [job_input("/opt/ml/input")]}, "must start with /opt/ml/processing/"),
        ({"ProcessingInputs": [{"InputName": "none"}]}, "must have an S3Input"),
        ({"ProcessingOutputConfig": {"Outputs": [{"OutputName": "none"}]}}, "must have an S3Output"),
        (
            {"ProcessingResources": {"ClusterConfig": {"VolumeSizeInGB": 1, "InstanceCount": 2}}},
            "one instance",
        ),
    ],
)
def test_a_bad_request_is_refused(stage: Stage, members: dict[str, Any], message: str) -> None:
    with pytest.raises(AwsError) as caught:
        stage.call("CreateProcessingJob", **request("bad") | members)
    assert caught.value.code == "ValidationException"
    assert message in caught.value.message
    with pytest.raises(AwsError, match="Could not find requested job with name: bad"):
        stage.call("DescribeProcessingJob", ProcessingJobName="bad")

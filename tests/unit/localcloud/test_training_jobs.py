"""Training jobs: real child processes, S3 by moto."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import psutil
import pytest

from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.jobs import program_job
from tests.unit.localcloud.stage import BUCKET, Stage, channel, eventually, training_request

SLOW = {"epochs": "400", "seconds": "0.05"}


def steps(description: dict[str, Any]) -> list[str]:
    return [step["Status"] for step in description["SecondaryStatusTransitions"]]


def test_a_job_runs_from_s3_to_s3(stage: Stage) -> None:
    arn = stage.train("First", {"epochs": "3"}, Environment={"COLOUR": "blue"})["TrainingJobArn"]
    assert arn == "arn:aws:sagemaker:us-east-1:000000000000:training-job/first"
    done = stage.ended("TrainingJob", "First")
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Completed", "Completed")
    assert steps(done) == ["Pending", "Starting", "Downloading", "Training", "Uploading", "Completed"]
    times = [(step["StartTime"], step["EndTime"]) for step in done["SecondaryStatusTransitions"]]
    assert all(begin <= end for begin, end in times)
    assert done["BillableTimeInSeconds"] == done["TrainingTimeInSeconds"] >= 1
    assert done["CreationTime"] <= done["TrainingStartTime"] <= done["TrainingEndTime"]
    assert done["ModelArtifacts"] == {"S3ModelArtifacts": f"s3://{BUCKET}/out/First/output/model.tar.gz"}
    assert stage.keys("out/") == ["out/First/output/model.tar.gz", "out/First/output/output.tar.gz"]
    inputs = stage.model(done)
    assert inputs["channels"] == {"train": {"a.txt": "alpha", "deep/b.txt": "beta"}}
    assert inputs["hyperparameters"] == {"epochs": "3"}
    assert (inputs["job"], inputs["environment"], inputs["role"]) == ("First", "blue", "ASIA")
    assert inputs["config"]["inputdataconfig"]["train"]["TrainingInputMode"] == "File"
    assert inputs["config"]["resourceconfig"]["hosts"] == ["algo-1"]
    eventually(lambda: not (stage.folder / "jobs/training-job/First").exists())


def test_metrics_and_logs_reach_cloudwatch(stage: Stage) -> None:
    done = stage.trained("measured", {"epochs": "3", "learning_rate": "0.3"})
    final = {metric["MetricName"]: metric["Value"] for metric in done["FinalMetricDataList"]}
    assert final == {"val:map": 0.75, "val:loss": 1e-3}
    points = [point[1:3] for point in stage.measured if point[0] == "/aws/sagemaker/TrainingJobs"]
    assert [value for name, value in points if name == "val:map"] == [0.5, pytest.approx(2 / 3), 0.75]
    assert stage.measured[0][-1] == {"TrainingJobName": "measured"}
    logs = boto3.client("logs", region_name="us-east-1")
    group = "/aws/sagemaker/TrainingJobs"
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert stream["logStreamName"].startswith("measured/algo-1-")
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
    assert [event["message"].split()[0] for event in events] == ["starting", "epoch=1", "epoch=2", "epoch=3"]


def test_an_entry_point_and_arguments_are_followed(stage: Stage) -> None:
    algorithm = training_request("x")["AlgorithmSpecification"] | {
        "ContainerEntrypoint": ["/usr/bin/python3", "-m", "training.train", "--fast"],
        "ContainerArguments": ["--out=/opt/ml/model", "/opt/ml/input/data", "/opt/mlx"],
    }
    done = stage.trained("entry", AlgorithmSpecification=algorithm)
    root = str(stage.folder / "jobs/training-job/entry")
    assert stage.model(done)["arguments"] == [
        "--fast",
        f"--out={root}/model",
        f"{root}/input/data",
        "/opt/mlx",
    ]


def test_a_failing_job_has_the_reason(stage: Stage) -> None:
    failed = stage.trained("failing", {"fail": "DatasetError: no labels"})
    assert (failed["TrainingJobStatus"], failed["SecondaryStatus"]) == ("Failed", "Failed")
    assert failed["FailureReason"] == "AlgorithmError: DatasetError: no labels, exit code: 3"
    assert stage.keys("out/") == []
    long = stage.trained("failing-at-length", {"fail": "x" * 2000})
    assert len(long["FailureReason"]) == 1024
    assert long["FailureReason"].endswith(", exit code: 3")


def test_a_killed_job_has_the_signal_in_its_exit_code(stage: Stage) -> None:
    stage.train("victim", SLOW)
    eventually(lambda: "epoch=1" in stage.log("victim"))
    for process in psutil.Process().children():
        if process.cwd().endswith("training-job/victim"):
            process.kill()
    assert stage.ended("TrainingJob", "victim")["FailureReason"] == "AlgorithmError: , exit code: 137"


@pytest.mark.parametrize("stubborn", [{}, {"ignore_sigterm": "1"}])
def test_a_job_that_runs_too_long_is_stopped(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, stubborn: dict[str, str]
) -> None:
    monkeypatch.setattr(program_job, "GRACE_S", 0.5)
    before = set(psutil.Process().children(recursive=True))
    stopped = stage.trained("late", SLOW | stubborn, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (stopped["TrainingJobStatus"], stopped["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "FailureReason" not in stopped
    assert stopped["TrainingTimeInSeconds"] < 10  # by itself it would take twenty
    left = set(psutil.Process().children(recursive=True)) - before
    assert not [process for process in left if process.is_running()]


def test_a_spot_job_waits_no_longer_than_it_may(stage: Stage) -> None:
    condition = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
    stopped = stage.trained("spot", SLOW, StoppingCondition=condition, EnableManagedSpotTraining=True)
    assert stopped["SecondaryStatus"] in ("MaxWaitTimeExceeded", "MaxRuntimeExceeded")


def test_a_job_is_stopped_in_the_middle(stage: Stage) -> None:
    stage.train("middle", SLOW)
    eventually(lambda: "epoch=2" in stage.log("middle"))
    assert stage.call("StopTrainingJob", TrainingJobName="middle") == {}
    assert stage.call("DescribeTrainingJob", TrainingJobName="middle")["TrainingJobStatus"] in (
        "Stopping",
        "Stopped",
    )
    stopped = stage.ended("TrainingJob", "middle")
    assert steps(stopped)[-2:] == ["Stopping", "Stopped"]
    with pytest.raises(AwsError, match="rejected because the training job is in status Stopped"):
        stage.call("StopTrainingJob", TrainingJobName="middle")


def test_jobs_wait_for_a_slot_and_a_waiting_job_can_be_stopped(stage: Stage) -> None:
    for name in ("one", "two", "three", "four"):
        stage.train(name, {"epochs": "4", "seconds": "0.2"})
    waiting = stage.call("DescribeTrainingJob", TrainingJobName="three")
    assert (waiting["TrainingJobStatus"], waiting["SecondaryStatus"]) == ("InProgress", "Pending")
    stage.call("StopTrainingJob", TrainingJobName="three")
    stopped = stage.call("DescribeTrainingJob", TrainingJobName="three")
    assert stopped["TrainingJobStatus"] == "Stopped"
    assert "TrainingTimeInSeconds" not in stopped
    ended = [stage.ended("TrainingJob", name) for name in ("one", "two", "four")]
    assert ended[2]["TrainingStartTime"] >= min(job["TrainingEndTime"] for job in ended[:2])
    assert stage.log("three") == ""


def test_of_many_jobs_with_one_name_one_is_created(stage: Stage) -> None:
    barrier = threading.Barrier(8)

    def create(_: int) -> str:
        barrier.wait()
        try:
            return stage.train("same")["TrainingJobArn"]
        except AwsError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(create, range(8)))
    assert outcomes == ["ResourceInUse"] * 7 + ["arn:aws:sagemaker:us-east-1:000000000000:training-job/same"]
    stage.ended("TrainingJob", "same")
    assert stage.log("same").count("starting") == 1


def test_a_job_continues_after_a_restart_of_the_cloud(stage: Stage) -> None:
    stage.train("long", {"epochs": "12", "seconds": "0.1"}, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/kept"})
    stage.train("short", SLOW)
    stage.train("queued")
    eventually(lambda: "epoch=3" in stage.log("long"))
    stage.call("StopTrainingJob", TrainingJobName="short")
    stage.restart()
    done = stage.ended("TrainingJob", "long")
    assert done["TrainingJobStatus"] == "Completed"
    assert steps(done)[3:6] == ["Training", "Interrupted", "Restarting"]
    assert stage.model(done)["started_after"] >= 3
    epochs = [line.split()[0] for line in stage.log("long").splitlines() if line.startswith("epoch=")]
    assert sorted(epochs, key=lambda text: int(text[6:])) == epochs  # never two at once
    assert len(epochs) <= 13
    assert stage.ended("TrainingJob", "short")["TrainingJobStatus"] == "Stopped"
    assert stage.ended("TrainingJob", "queued")["TrainingJobStatus"] == "Completed"
    assert stage.text("kept/epoch") == "12"


def test_after_a_restart_a_waiting_job_starts_as_usual(stage: Stage) -> None:
    for name in ("one", "two"):
        stage.train(name, SLOW)
    stage.train("waiting")
    eventually(lambda: "epoch=1" in stage.log("one") and "epoch=1" in stage.log("two"))
    stage.restart()
    for name in ("one", "two"):
        stage.call("StopTrainingJob", TrainingJobName=name)
    done = stage.ended("TrainingJob", "waiting")
    assert steps(done) == ["Pending", "Starting", "Downloading", "Training", "Uploading", "Completed"]


def test_checkpoints_are_shared_through_s3(stage: Stage) -> None:
    checkpoints = {"S3Uri": f"s3://{BUCKET}/kept/"}
    stage.trained("before", {"epochs": "2"}, CheckpointConfig=checkpoints)
    done = stage.trained("after", {"epochs": "5"}, CheckpointConfig=checkpoints)
    assert stage.model(done)["started_after"] == 2


def test_a_manifest_names_the_objects(stage: Stage) -> None:
    stage.put("lists/m.json", f'[{{"prefix": "s3://{BUCKET}/data/"}}, "deep/b.txt"]')
    manifest = channel(f"s3://{BUCKET}/lists/m.json", "ManifestFile")
    single = channel(f"s3://{BUCKET}/data/a.txt", name="one")
    done = stage.trained("listed", InputDataConfig=[manifest, single])
    assert stage.model(done)["channels"] == {"train": {"deep/b.txt": "beta"}, "one": {"a.txt": "alpha"}}
    stage.put("lists/m.json", '{"prefix": 1}')
    failed = stage.trained("unlisted", InputDataConfig=[manifest])
    assert failed["FailureReason"].startswith(
        "ClientError: The manifest s3://loupe/lists/m.json is not a list"
    )


def test_an_object_cannot_leave_its_folder(stage: Stage) -> None:
    stage.put("evil/../../../../escaped.txt", "x")
    failed = stage.trained("evil", InputDataConfig=[channel(f"s3://{BUCKET}/evil/")])
    assert "leads out of its folder" in failed["FailureReason"]
    eventually(lambda: not (stage.folder / "jobs/training-job/evil").exists())
    assert not list(stage.folder.rglob("escaped.txt"))


def test_input_that_is_deleted_before_the_job_starts_fails_it(stage: Stage) -> None:
    for name in ("busy-1", "busy-2"):
        stage.train(name, {"epochs": "4", "seconds": "0.2"})
    stage.train("late")
    for key in stage.keys("data/"):
        stage.s3.delete_object(Bucket=BUCKET, Key=key)
    assert stage.ended("TrainingJob", "late")["FailureReason"].startswith("ClientError: No S3 objects found")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"TrainingJobName": "a b"}, "regular expression pattern"),
        ({"RoleArn": "me"}, "RoleArn"),
        ({"ResourceConfig": {}}, "InstanceType"),
        ({"ResourceConfig": {"InstanceType": "ml.toaster"}}, "enum value set"),
        ({"ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 2}}, "exactly one instance"),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "TrainingImage"),
        ({"InputDataConfig": [channel(), channel()]}, "must be unique"),
        ({"InputDataConfig": [channel("s3://loupe/nothing")]}, "No S3 objects found under S3 URL"),
        ({"InputDataConfig": [channel("s3://nobucket/x")]}, "Error message from S3"),
        ({"InputDataConfig": [channel() | {"InputMode": "Pipe"}]}, "File mode"),
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds"),
        ({"StoppingCondition": {"MaxWaitTimeInSeconds": 9}}, "EnableManagedSpotTraining"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://b/", "CompressionType": "NONE"}}, "model.tar.gz"),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/etc"}}, "/opt/ml"),
        ({"HyperParameters": {"epochs": 3}}, "HyperParameters"),
    ],
)
def test_a_bad_request_is_refused_and_leaves_nothing(
    stage: Stage, members: dict[str, Any], message: str
) -> None:
    with pytest.raises(AwsError) as caught:
        stage.train(**{"name": "bad", **training_request("bad")} | members)  # type: ignore[arg-type]
    assert caught.value.code == "ValidationException"
    assert message in caught.value.message
    assert stage.call("ListTrainingJobs") == {"TrainingJobSummaries": []}


@pytest.mark.parametrize(
    "change",
    [
        {"MetricDefinitions": [{"Name": "m", "Regex": "("}]},
        {"ContainerEntrypoint": ["bash", "-c", "true"]},
        {"ContainerEntrypoint": ["no_such_program"]},
    ],
)
def test_an_algorithm_that_cannot_run_is_refused(stage: Stage, change: dict[str, Any]) -> None:
    algorithm = training_request("x")["AlgorithmSpecification"] | change
    with pytest.raises(AwsError, match=r"regex|ContainerEntrypoint"):
        stage.train("bad", AlgorithmSpecification=algorithm)


def test_jobs_are_listed_and_have_tags(stage: Stage) -> None:
    tags = [{"Key": "line", "Value": "2"}]
    arn = stage.train("b", Tags=tags)["TrainingJobArn"]
    stage.train("a", {"fail": "x"})
    stage.ended("TrainingJob", "b")
    stage.ended("TrainingJob", "a")
    listed = stage.call("ListTrainingJobs")["TrainingJobSummaries"]
    assert [job["TrainingJobName"] for job in listed] == ["b", "a"]
    assert stage.call("ListTrainingJobs", StatusEquals="Failed")["TrainingJobSummaries"][0] == listed[1]
    named = stage.call("ListTrainingJobs", SortBy="Name", CreationTimeAfter=listed[0]["CreationTime"])
    assert [job["TrainingJobName"] for job in named["TrainingJobSummaries"]] == ["a"]
    assert stage.call("ListTags", ResourceArn=arn) == {"Tags": tags}
    stage.call("AddTags", ResourceArn=arn, Tags=[{"Key": "shift", "Value": "late"}])
    stage.call("DeleteTags", ResourceArn=arn, TagKeys=["line"])
    assert stage.call("ListTags", ResourceArn=arn) == {"Tags": [{"Key": "shift", "Value": "late"}]}
    with pytest.raises(AwsError) as unknown:
        stage.call("ListTags", ResourceArn=arn + "-nobody")
    assert unknown.value.code == "ResourceNotFound"
    with pytest.raises(AwsError, match=r"Requested resource not found\."):
        stage.call("DescribeTrainingJob", TrainingJobName="nobody")

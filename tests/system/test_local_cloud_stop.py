"""The local cloud stops within ten seconds in any state, leaves no process, and continues at the next start."""

import contextlib
import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.config import Config

from localcloud import AlreadyRunningError, Connection, NotRunningError, StopError, stop
from localcloud.cloud import LocalCloud
from localcloud.home.folder import Home
from tests.system.cloud_process import CloudProcess, eventually, host, settled, stop_limit
from tests.system.sagemaker_stage import RUNS_JOBS, ended, make_data, make_role, processing, training

pytestmark = pytest.mark.system
REPO = Path(__file__).parent / "cloud"
# One code handles all three.
SIGNALS = [
    signal.SIGINT,
    pytest.param(signal.SIGTERM, marks=pytest.mark.nightly),
    pytest.param(signal.SIGHUP, marks=pytest.mark.nightly),
]
# A job that waits after its second epoch until it is ended, and has one to train when it continues.
PAUSED = {"epochs": "3", "pause_after": "2"}


@pytest.fixture
def started() -> Iterator[Any]:
    """Starts clouds; whatever a failed test leaves of them is ended."""
    clouds: list[CloudProcess] = []

    def start(home: Path) -> CloudProcess:
        clouds.append(CloudProcess(home, REPO, LOUPE_LOCAL_JOBS="4"))
        return clouds[-1]

    yield start
    for cloud in clouds:
        if cloud.process.poll() is None:
            cloud.kill()


def stop_by(cloud: CloudProcess, number: signal.Signals, again: int = 0) -> None:
    """Send a signal (and some more), and check that the cloud ends in time, in order, and with all its programs."""
    children = cloud.children()
    began = time.monotonic()
    cloud.process.send_signal(number)
    for _ in range(again):
        time.sleep(0.2)
        with contextlib.suppress(ProcessLookupError):
            cloud.process.send_signal(signal.SIGINT)
    assert cloud.process.wait(timeout=stop_limit()) == 0
    assert psutil.wait_procs(children, timeout=max(0, stop_limit() - (time.monotonic() - began)))[1] == []


def execute(cloud: Connection, role: str, states: dict[str, Any], **given: Any) -> str:
    client = cloud.client("stepfunctions")
    machine = client.create_state_machine(
        name=f"machine-{time.time_ns()}",
        definition=json.dumps({"StartAt": next(iter(states)), "States": states}),
        roleArn=role,
    )["stateMachineArn"]
    return str(client.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"])


def status(cloud: Connection, execution: str) -> str:
    return str(cloud.client("stepfunctions").describe_execution(executionArn=execution)["status"])


def finished(cloud: Connection, execution: str) -> dict[str, Any]:
    """Wait until an execution has ended, and return its output."""
    client = cloud.client("stepfunctions")
    eventually(lambda: status(cloud, execution) != "RUNNING", 90)
    description = client.describe_execution(executionArn=execution)
    assert description["status"] == "SUCCEEDED", description
    return {"output": json.loads(description["output"])}


def task(resource: str, parameters: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Parameters": parameters, **members}


def a_map_of_trainings(role: str) -> dict[str, Any]:
    """Two training jobs in a Map with a time limit, as the retraining runs them: all in threads of pools."""
    request = training("", role, PAUSED) | {"TrainingJobName.$": "$"}
    del request["TrainingJobName"]
    train = task("sagemaker:createTrainingJob.sync", request, TimeoutSeconds=600, End=True)
    processor = {"StartAt": "Train", "States": {"Train": train}}
    return {"All": {"Type": "Map", "ItemsPath": "$.jobs", "ItemProcessor": processor, "End": True}}


def hosting(cloud: Connection) -> dict[str, str]:
    return {"bucket": cloud.outputs["ModelsBucketName"], "role": cloud.outputs["ModelRoleArn"]}


def log(cloud: CloudProcess, job: str) -> str:
    file = cloud.home / "logs" / f"training-job-{job}.log"
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_retraining_goes_on_after_a_stop(tmp_path: Path, started: Any, number: signal.Signals) -> None:
    first = started(tmp_path)
    make_data(first.connection)
    role = make_role(first.connection, "trainer", "s3:*", "logs:*", *RUNS_JOBS)
    execution = execute(first.connection, role, a_map_of_trainings(role), jobs=["one", "two"])
    eventually(lambda: all("paused" in log(first, job) for job in ("one", "two")))
    stop_by(first, number, again=3)

    again = started(tmp_path)
    assert status(again.connection, execution) == "RUNNING"
    assert len(finished(again.connection, execution)["output"]) == 2
    for job in ("one", "two"):
        starts = [line for line in log(again, job).splitlines() if line.startswith("starting")]
        assert len(starts) == 2
        assert int(starts[1].split()[3]) == 2, "the job did not begin at its checkpoint"
        described = again.connection.client("sagemaker").describe_training_job(TrainingJobName=job)
        steps = [step["Status"] for step in described["SecondaryStatusTransitions"]]
        assert steps.count("Interrupted") == 1
        assert "Failed" not in steps
    history = again.connection.client("stepfunctions").get_execution_history(executionArn=execution)["events"]
    assert not [event["type"] for event in history if "Failed" in event["type"]]
    stop_by(again, signal.SIGINT)


@pytest.mark.slow
def test_tuning_evaluation_approval_and_time_go_on_after_a_stop(tmp_path: Path, started: Any) -> None:
    """Everything that a run waits for, in four executions at once."""
    first = started(tmp_path)
    cloud = first.connection
    make_data(cloud)
    role = make_role(cloud, "trainer", "s3:*", "logs:*", "sqs:*", "lambda:*", *RUNS_JOBS)
    executions = {
        "tuning": execute(cloud, role, {"Tune": tune(role)}),
        "evaluation": execute(cloud, role, {"Evaluate": evaluate(role)}),
        "approval": execute(cloud, role, {"Ask": ask(cloud)}),
        "time": execute(cloud, role, {"Wait": {"Type": "Wait", "Seconds": 15, "End": True}}),
    }
    eventually(lambda: len(list((tmp_path / "logs").glob("training-job-tune-*.log"))) == 2)
    eventually(lambda: "counted" in (tmp_path / "logs/processing-job-evaluate.log").read_text())
    asked = question(cloud)
    stop_by(first, signal.SIGTERM)

    again = started(tmp_path)
    cloud = again.connection
    assert {status(cloud, execution) for execution in executions.values()} == {"RUNNING"}
    # The state begins again, so the question is asked again, with another token.
    cloud.client("stepfunctions").send_task_success(taskToken=question(cloud, not_=asked), output='"yes"')
    assert finished(cloud, executions["approval"]) == {"output": "yes"}
    assert finished(cloud, executions["tuning"])["output"]["TrainingJobStatusCounters"]["Completed"] == 3
    assert finished(cloud, executions["evaluation"])["output"]["ProcessingJobStatus"] == "Completed"
    finished(cloud, executions["time"])
    stop_by(again, signal.SIGINT)


def tune(role: str) -> dict[str, Any]:
    definition = training("", role)
    del definition["TrainingJobName"], definition["HyperParameters"]
    rate = {"Name": "learning_rate", "MinValue": "0.1", "MaxValue": "0.5"}
    request = {
        "HyperParameterTuningJobName": "tune",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "val:map"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {"ContinuousParameterRanges": [rate]},
        },
        "TrainingJobDefinition": definition | {"StaticHyperParameters": {"epochs": "20", "seconds": "0.2"}},
    }
    return task("sagemaker:createHyperParameterTuningJob.sync", request, End=True)


def evaluate(role: str) -> dict[str, Any]:
    return task(
        "sagemaker:createProcessingJob.sync", processing("evaluate", role, "--seconds", "5"), End=True
    )


def ask(cloud: Connection) -> dict[str, Any]:
    message = {"QueueUrl": cloud.outputs["AlertsUrl"], "MessageBody.$": "$$.Task.Token"}
    return task("sqs:sendMessage.waitForTaskToken", message, End=True)


def question(cloud: Connection, not_: str = "") -> str:
    """Return the token of the waiting task."""
    client, queue = cloud.client("sqs"), cloud.outputs["AlertsUrl"]

    def new() -> list[str]:
        received = client.receive_message(QueueUrl=queue, VisibilityTimeout=0, MaxNumberOfMessages=10)
        return [
            message["Body"] for message in received.get("Messages", []) if message["Body"] not in ("", not_)
        ]

    return str(eventually(new)[0])


@pytest.mark.slow
def test_images_and_slow_functions_do_not_hold_the_stop_up(tmp_path: Path, started: Any) -> None:
    first = started(tmp_path)
    cloud = first.connection
    host(cloud, "allowed", **hosting(cloud), name="slow", seconds=0.3)
    for number in range(40):
        cloud.client("s3").put_object(Bucket=cloud.outputs["BucketName"], Key=f"{number}.jpg", Body=b"image")
    invoke_slowly(cloud)
    eventually(lambda: count(cloud) > 1)
    stop_by(first, signal.SIGINT, again=2)

    again = started(tmp_path)
    before = count(again.connection)
    assert 1 < before < 41
    # What was in work becomes visible again after 20 s, and what arrives before the endpoint is back, too.
    eventually(lambda: count(again.connection) > before)
    stop_by(again, signal.SIGTERM)


def count(cloud: Connection) -> int:
    return int(cloud.client("dynamodb").scan(TableName=cloud.outputs["TableName"], Select="COUNT")["Count"])


def invoke_slowly(cloud: Connection) -> None:
    """Invoke a function that takes longer than any stop, in the background; it leaves a record."""
    client = cloud.client("lambda", Config(retries={"total_max_attempts": 1}, read_timeout=60))

    def invoke() -> None:
        with contextlib.suppress(Exception):
            payload = json.dumps({"do": "sleep", "seconds": 19})
            client.invoke(FunctionName=cloud.outputs["InspectName"], Payload=payload)

    threading.Thread(target=invoke, daemon=True).start()
    table, key = cloud.outputs["TableName"], {"image": {"S": "asleep"}}
    eventually(lambda: "Item" in cloud.client("dynamodb").get_item(TableName=table, Key=key))


@pytest.mark.slow
def test_an_endpoint_that_is_created_or_updated_goes_on_after_a_stop(tmp_path: Path, started: Any) -> None:
    first = started(tmp_path)
    cloud = first.connection
    host(cloud, "swapped", **hosting(cloud), name="old")
    host(cloud, "swapped", **hosting(cloud), name="new", startup_seconds=4, settle=False)
    host(cloud, "created", **hosting(cloud), name="first", startup_seconds=4, settle=False)
    eventually(lambda: len(servers(first)) == 3)
    stop_by(first, signal.SIGHUP)

    again = started(tmp_path)
    assert settled(again.connection, "created")["EndpointStatus"] == "InService"
    runtime = again.connection.client("sagemaker-runtime")

    def model() -> str:
        with contextlib.suppress(Exception):
            answer = runtime.invoke_endpoint(EndpointName="swapped", Body=b"image")
            return str(json.load(answer["Body"])["model"])
        return ""

    eventually(lambda: model() == "new")
    stop_by(again, signal.SIGINT)


def servers(cloud: CloudProcess) -> list[psutil.Process]:
    """Return the processes of model servers."""
    found = []
    for child in cloud.children():
        with contextlib.suppress(psutil.Error):
            if "/endpoints/" in child.cwd():
                found.append(child)
    return found


@pytest.mark.parametrize(
    ("number", "delay_s"),
    [
        (signal.SIGKILL, 1.2),
        pytest.param(signal.SIGTERM, 0.6, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 2.0, marks=pytest.mark.nightly),
        pytest.param(signal.SIGKILL, 0.3, marks=pytest.mark.nightly),
    ],
)
def test_a_start_that_is_interrupted_can_be_repeated(
    tmp_path: Path, started: Any, number: signal.Signals, delay_s: float
) -> None:
    """Also in the middle of the stack's creation."""
    first = CloudProcess.launch(tmp_path, REPO)
    time.sleep(delay_s)
    first.send_signal(number)
    first.wait(timeout=stop_limit())
    again = started(tmp_path)
    host(again.connection, "allowed", **hosting(again.connection), name="one")
    again.connection.client("s3").put_object(
        Bucket=again.connection.outputs["BucketName"], Key="image", Body=b"image"
    )
    eventually(lambda: count(again.connection) == 1)
    stop_by(again, signal.SIGTERM)


def start_stubborn_job(cloud: CloudProcess) -> None:
    """Start a training job, `stubborn`, whose program ignores SIGTERM, and wait until it trains."""
    make_data(cloud.connection)
    role = make_role(cloud.connection, "trainer", "s3:*", "logs:*", *RUNS_JOBS)
    stubborn = PAUSED | {"ignore_sigterm": "1"}
    cloud.connection.client("sagemaker").create_training_job(**training("stubborn", role, stubborn))
    eventually(lambda: "paused" in log(cloud, "stubborn"))


def refused_starts(home: Path, children: list[psutil.Process]) -> list[str]:
    """Try to start on a home until that is possible, and return the reasons why it was not.

    When it is possible, none of the cloud's programs may run any more.
    """
    reasons: list[str] = []
    ours = Home(home)
    while True:
        try:
            ours.open()
        except AlreadyRunningError as error:
            reasons.append(str(error))
            time.sleep(0.05)
        else:
            alive = psutil.wait_procs(children, timeout=0)[1]
            ours.close()
            assert alive == []
            return reasons


def test_down_says_what_it_waits_for_and_until_its_end_nobody_else_can_start_on_the_home(
    tmp_path: Path, started: Any
) -> None:
    cloud = started(tmp_path)
    start_stubborn_job(cloud)
    threading.Thread(target=cloud.process.wait, daemon=True).start()
    steps: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        refusals = pool.submit(refused_starts, tmp_path, cloud.children())
        assert stop(tmp_path, stop_limit(), steps.append) == cloud.process.pid
    assert steps[0] == "ending 1 unfinished job, which continues at the next start"
    assert cloud.process.wait(timeout=60) == 0
    reasons = refusals.result()
    assert reasons
    assert f"process {cloud.process.pid}" in reasons[0]
    with pytest.raises(NotRunningError):
        stop(tmp_path)
    again = started(tmp_path)
    assert ended(again.connection, "TrainingJob", "stubborn")["TrainingJobStatus"] == "Completed"
    stop_by(again, signal.SIGINT)


def test_down_names_the_process_that_does_not_stop(tmp_path: Path, started: Any) -> None:
    cloud = started(tmp_path)
    children = cloud.children()
    cloud.process.send_signal(signal.SIGSTOP)
    with pytest.raises(StopError) as error:
        stop(tmp_path, 0.5)
    assert f"kill -9 {cloud.process.pid}" in error.value.hint
    with pytest.raises(AlreadyRunningError, match=f"process {cloud.process.pid} on port"):
        LocalCloud(tmp_path).start()
    # An idle cloud ends at once, as soon as it can.
    cloud.process.send_signal(signal.SIGCONT)
    assert cloud.process.wait(timeout=stop_limit()) == 0
    assert psutil.wait_procs(children, timeout=stop_limit())[1] == []


def test_a_starting_cloud_can_be_stopped(tmp_path: Path) -> None:
    process = CloudProcess.launch(tmp_path, REPO)

    def stopped() -> bool:
        with contextlib.suppress(NotRunningError):
            stop(tmp_path, stop_limit())
            return True
        return False

    threading.Thread(target=process.wait, daemon=True).start()
    eventually(stopped)
    assert process.wait(timeout=60) is not None


def test_nothing_outlives_a_killed_cloud(tmp_path: Path, started: Any) -> None:
    """A job that ignores SIGTERM, a model server, and a function in the middle of a call."""
    cloud = started(tmp_path)
    host(cloud.connection, "allowed", **hosting(cloud.connection), name="one")
    start_stubborn_job(cloud)
    invoke_slowly(cloud.connection)
    children = cloud.children()
    cloud.kill()
    assert psutil.wait_procs(children, timeout=60)[1] == []

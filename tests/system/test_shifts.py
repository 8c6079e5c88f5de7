"""The endpoint rests outside its hours in the local cloud, images wait without an alarm, and it comes back."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.shifts import DAYS
from localcloud import deploy as stack_deployment
from loupe.stack import alarms, deployment, endpoint, hours, queues, status, uploads
from loupe.stack.target import Target
from tests.system.cloud_process import CloudProcess, eventually

pytestmark = pytest.mark.system
REPOSITORY = Path(__file__).parents[2]
SAMPLES = REPOSITORY / "samples" / "line-1"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    """A cloud whose endpoint serves, and has no hours."""
    process = CloudProcess(tmp_path_factory.mktemp("shifts"), REPOSITORY)
    deployment.deploy(Target.local(process.home), deployment.STARTER, deployment.Hosting(), lambda _: None)
    yield process
    process.stop()


def with_hours(cloud: CloudProcess, text: str) -> Target:
    """Update the stack to other hours, and return it."""
    parameters = {"EndpointHours": text, "EndpointTimezone": "UTC"}
    outputs = stack_deployment.deploy(cloud.connection, REPOSITORY, parameters)
    return replace(Target.local(cloud.home), outputs=outputs)


def every_day(begin: datetime, hours_: int) -> str:
    """Return hours of each day that begin in the hour of a time."""
    end = begin + timedelta(hours=hours_)
    return f"{DAYS[0]}-{DAYS[-1]} {begin:%H}:00-{end:%H}:00"


def look(target: Target) -> dict[str, Any]:
    """Invoke the function that keeps the hours, as its schedule does every five minutes."""
    reply = target.functions.invoke(FunctionName=target.output("HoursFunctionName"), Payload=b"{}")
    answer: dict[str, Any] = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, answer
    return answer


def targets(target: Target) -> list[Any]:
    client = target.session.client("application-autoscaling", endpoint_url=target.endpoint_url)
    found: list[Any] = client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    return found


def drop(target: Target, number: int) -> list[Any]:
    sources, _ = uploads.find_images([SAMPLES], None, None)
    return uploads.upload(target, [sources[number]], lambda _: None)


def resting(target: Target) -> float:
    """Return how many waits for the shift CloudWatch has counted."""
    now = datetime.now(UTC)
    points = target.cloudwatch.get_metric_statistics(
        Namespace="Loupe",
        MetricName="Resting",
        Dimensions=[{"Name": "service", "Value": target.name}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(point["Sum"] for point in points)


def test_the_endpoint_rests_while_images_wait_and_comes_back_as_it_was(cloud: CloudProcess) -> None:
    now = datetime.now(UTC)
    # The shift is over, or will not begin within the time that the endpoint needs to start.
    target = with_hours(cloud, every_day(now + timedelta(hours=3), 8))
    before = endpoint.describe(target)
    assert before
    # The schedule may look at the same time; what counts is what becomes of the endpoint.
    look(target)
    eventually(lambda: endpoint.describe(target) is None)
    assert targets(target) == []
    assert look(target) == {"action": "none", "run": False, "status": "Missing"}

    drop(target, 0)
    eventually(lambda: resting(target) >= 1)
    waiting = eventually(lambda: queues.count(target, "QueueUrl")[2])
    assert waiting == 1  # delayed, neither lost nor in the dead-letter queue
    state = status.read(target)
    assert state.rest
    assert state.rest.text.startswith("rests until ")
    assert (state.failed, state.alarms) == (0, [])
    assert {alarm.name for alarm in alarms.alarms(target)} >= {"DeferredAlarm", "HoursErrorsAlarm"}

    target = with_hours(cloud, every_day(now - timedelta(hours=1), 8))
    look(target)
    eventually(lambda: (found := endpoint.describe(target)) and found.status == "InService")
    look(target)
    after = endpoint.describe(target)
    assert after
    assert after.config["EndpointConfigName"] == before.config["EndpointConfigName"]
    (scaled,) = targets(target)
    assert (scaled["MinCapacity"], scaled["MaxCapacity"]) == (2, 2)
    assert look(target)["action"] == "none"
    uploaded = drop(target, 1)
    records = uploads.follow(target, uploaded, lambda _: None, patience=60)
    assert {record["verdict"] for record in records.values()} <= {"pass", "fail"}


def test_a_person_starts_and_stops_it_by_hand(cloud: CloudProcess) -> None:
    target = with_hours(cloud, "")
    assert hours.stop(target).action == "stopped"
    eventually(lambda: endpoint.describe(target) is None)
    rest = status.read(target).rest
    assert rest
    assert rest.by_hand
    assert hours.start(target).action == "created"
    eventually(lambda: (found := endpoint.describe(target)) and found.status == "InService")
    assert look(target)["action"] == "ready"
    assert status.read(target).rest is None

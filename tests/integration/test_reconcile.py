"""Images whose announcement is lost are announced again, and end with one record each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers import reconcile
from reconciliation import queues
from reconciliation.passes import Memory, Passes
from tests.inspection_support import Context, jpeg, message
from tests.integration.moto_cloud import DEFECT, GOOD, Cloud
from tests.integration.test_privileges import LAMBDA, allowed

DAY = timedelta(days=1)
ODD_KEYS = (
    "incoming/linie ü/top/a+b %2B&?.jpg",
    "incoming/line-1/top/a.jpg/b.jpg",
    "incoming/x",
    "incoming/l/s/日本.txt",
)


class Stage:
    """The function with its dead-letter queue and its memory, and a page size of two."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.sqs, self.ssm = cloud, boto3.client("sqs"), boto3.client("ssm")
        self.dead_letters = self.sqs.create_queue(QueueName=f"{cloud.images}-dead")["QueueUrl"]
        self.parameter = f"/{cloud.images}/reconcile"
        self.ssm.put_parameter(Name=self.parameter, Value="{}", Type="String")

    def reset(self) -> None:
        """Forget everything; moto takes too long to make it anew."""
        self.cloud.reset()
        for url in (self.cloud.queue_url, self.dead_letters):
            # It could be purged only once a minute.
            self.sqs.delete_queue(QueueUrl=url)
            self.sqs.create_queue(QueueName=url.rpartition("/")[2])
        versions = self.cloud.s3.list_object_versions(Bucket=self.cloud.images, MaxKeys=1000)
        for entry in [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]:
            self.cloud.s3.delete_object(
                Bucket=self.cloud.images, Key=entry["Key"], VersionId=entry["VersionId"]
            )
        self.ssm.put_parameter(Name=self.parameter, Value="{}", Type="String", Overwrite=True)

    def ask(self, **changes: Any) -> dict[str, Any]:
        """Invoke the function as `loupe reconcile` does, until it has listed everything. Return the sum."""
        since = datetime.now(UTC) - DAY
        event = {"since": since.isoformat(), "older_than_seconds": -60, "dry_run": False, "marker": None}
        total: Counter[str] = Counter()
        while True:
            answer = reconcile.handler({**event, **changes}, Context(900))  # type: ignore[arg-type]
            total.update(
                {
                    name: answer[name]
                    for name in ("listed", "compared", "missing", "dead_letters", "announced")
                }
            )
            changes |= {"marker": answer["marker"], "announced": total["announced"]}
            if answer["marker"] is None:
                return {**answer, **total}

    def passes(self, now: datetime) -> Passes:
        """Return the comparison on the schedule, at another time."""
        made = reconcile._passes()
        return Passes(made.reconciler, made.ssm, made.parameter, made.retention_days, lambda: now)

    def memory(self) -> Memory:
        return Memory.of(self.ssm.get_parameter(Name=self.parameter)["Parameter"]["Value"])

    def deliver(self) -> int:
        """Let `inspect` process what the queue holds. Return the number of messages."""
        delivered = 0
        while received := self.sqs.receive_message(QueueUrl=self.cloud.queue_url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            records = [json.loads(item["Body"])["Records"][0] for item in received]
            assert self.cloud.inspect(*[message(record, number=n) for n, record in enumerate(records)]) == []
            for item in received:
                self.sqs.delete_message(QueueUrl=self.cloud.queue_url, ReceiptHandle=item["ReceiptHandle"])
            delivered += len(received)
        return delivered

    def recorded(self) -> list[tuple[str, str]]:
        return sorted((record["image"], record["version_id"]) for record in self.cloud.records())

    def identity(self, announced: dict[str, Any], key: str) -> tuple[str, str]:
        return f"s3://{self.cloud.images}/{key}", announced["s3"]["object"]["versionId"]

    def bury(self, announced: dict[str, Any]) -> None:
        self.sqs.send_message(QueueUrl=self.dead_letters, MessageBody=json.dumps({"Records": [announced]}))


@pytest.fixture(scope="module")
def _stage(_cloud: Cloud) -> Iterator[Stage]:
    stage = Stage(_cloud)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "IMAGES_BUCKET": _cloud.images,
            "DEAD_LETTER_QUEUE_URL": stage.dead_letters,
            "RECONCILE_PARAMETER": stage.parameter,
            "AWS_REGION": "eu-central-1",
        }.items():
            patch.setenv(name, value)
        patch.setattr(queues, "_PAUSE_SECONDS", 0)
        patch.setattr(queues, "_FEW", 5)
        reconcile._passes.cache_clear()
        passes = reconcile._passes()
        passes.reconciler.versions.client.meta.events.register(
            "provide-client-params.s3.ListObjectVersions", two_a_page
        )
        yield stage
    reconcile._passes.cache_clear()


def two_a_page(params: dict[str, Any], **_: Any) -> None:
    params["MaxKeys"] = 2


@pytest.fixture
def stage(_stage: Stage) -> Stage:
    _stage.reset()
    return _stage


def test_every_version_without_a_record_is_announced_and_nothing_else(stage: Stage) -> None:
    put = stage.cloud.put
    lost = [stage.identity(put(key, jpeg(shade=GOOD)), key) for key in ODD_KEYS]
    overwritten = "incoming/l/s/again.jpg"  # and hidden by a delete marker
    lost += [stage.identity(put(overwritten, jpeg(shade=DEFECT)), overwritten) for _ in range(2)]
    stage.cloud.s3.delete_object(Bucket=stage.cloud.images, Key=overwritten)
    for key in ("incoming/l/s/", "elsewhere/l/s/a.jpg"):
        put(key, b"")
    known, dead = (
        put("incoming/l/s/known.jpg", jpeg(shade=GOOD)),
        put("incoming/l/s/dead.jpg", jpeg(shade=GOOD)),
    )
    stage.cloud.inspect(message(known))
    stage.bury(dead)

    found = stage.ask()
    assert (found["compared"], found["missing"], found["dead_letters"]) == (len(lost) + 2, len(lost) + 1, 1)
    assert found["announced"] == stage.deliver() == len(lost)
    assert stage.recorded() == sorted([*lost, stage.identity(known, "incoming/l/s/known.jpg")])
    times = {record["received_at"][:16] for record in stage.cloud.records()}
    assert max(times) <= datetime.now(UTC).isoformat()[:16], "the time of the upload, not of the announcement"

    again = stage.ask()
    assert (again["missing"], again["announced"]) == (1, 0)
    number = stage.sqs.get_queue_attributes(
        QueueUrl=stage.dead_letters, AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert number["Attributes"]["ApproximateNumberOfMessages"] == "1", "the dead letter was not given back"


def test_a_dry_run_announces_nothing(stage: Stage) -> None:
    announced = stage.cloud.put("incoming/l/s/a.jpg", jpeg(shade=GOOD))
    found = stage.ask(dry_run=True)
    assert (found["missing"], found["announced"], stage.deliver()) == (1, 0, 0)
    image, version = stage.identity(announced, "incoming/l/s/a.jpg")
    assert [(shown["image"], shown["version_id"]) for shown in found["images"]] == [(image, version)]


def test_young_images_and_those_whose_record_has_expired_are_left_alone(stage: Stage) -> None:
    stage.cloud.put("incoming/l/s/a.jpg", jpeg(shade=GOOD))
    assert stage.ask(older_than_seconds=1800)["compared"] == 0
    assert stage.ask(since=(datetime.now(UTC) + timedelta(minutes=1)).isoformat())["compared"] == 0
    now = datetime.now(UTC)
    for days, compared in ((399, 1), (400, 0), (4000, 0)):
        passes = stage.passes(now + days * DAY)
        span = passes.span(now - 3 * DAY)
        assert passes.reconciler.compare(span, None, 900, dry_run=True).compared == compared, days


@pytest.mark.parametrize("delay", [0, 60])
def test_nothing_is_announced_while_many_images_wait(stage: Stage, delay: int) -> None:
    stage.cloud.put("incoming/l/s/a.jpg", jpeg(shade=GOOD))
    for _ in range(queues._FEW + 1 if delay == 0 else 1):  # one that is delayed waits for the endpoint
        stage.sqs.send_message(QueueUrl=stage.cloud.queue_url, MessageBody="{}", DelaySeconds=delay)
    found = stage.ask()
    assert (found["missing"], found["announced"]) == (1, 0)
    assert "wait in the queue" in found["obstacle"]
    stage.passes(datetime.now(UTC) + DAY).go_on(900)
    assert stage.memory() == Memory(), "the next comparison begins at the same time"


def test_the_schedule_goes_through_the_bucket_in_parts_and_then_looks_at_newer_images_only(
    stage: Stage,
) -> None:
    for number in range(5):
        stage.cloud.put(f"incoming/l/s/{number}.jpg", jpeg(shade=GOOD))
    now = datetime.now(UTC) + timedelta(hours=1)
    parts = [stage.passes(now).go_on(0) for _ in range(3)]
    assert [part.listed for part in parts] == [2, 2, 1]
    assert sum(part.announced for part in parts) == stage.deliver() == 5
    settled = stage.memory().settled
    assert settled is not None
    assert settled < datetime.now(UTC), "from the oldest that was missing"

    second = stage.passes(now).go_on(900)
    assert (second.compared, second.missing) == (5, 0)
    assert stage.memory().settled == (now - timedelta(minutes=30)).replace(
        microsecond=now.microsecond // 1000 * 1000
    )
    assert stage.passes(now + DAY).go_on(900).compared == 0, "they were read again"


def test_what_one_part_has_announced_does_not_stop_the_next(stage: Stage) -> None:
    for number in range(3 * queues._FEW):
        stage.cloud.put(f"incoming/l/s/{number:02}.jpg", b"no image")
    event = {"since": (datetime.now(UTC) - DAY).isoformat(), "older_than_seconds": -60, "marker": None}
    announced = 0
    for _ in range(8):  # each part has no time but for one page
        part = reconcile.handler({**event, "announced": announced}, Context(1))  # type: ignore[arg-type]
        assert part["obstacle"] is None
        announced += part["announced"]
        event["marker"] = part["marker"]
    assert announced == 3 * queues._FEW


def test_the_role_allows_exactly_the_calls(stage: Stage) -> None:
    needs = {
        "ListObjectVersions": "s3:ListBucketVersions",
        "BatchGetItem": "dynamodb:BatchGetItem",
        "GetQueueAttributes": "sqs:GetQueueAttributes",
        "ReceiveMessage": "sqs:ReceiveMessage",
        "ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
        "SendMessageBatch": "sqs:SendMessage",
        "GetParameter": "ssm:GetParameter",
        "PutParameter": "ssm:PutParameter",
    }
    stage.bury(stage.cloud.put("incoming/l/s/dead.jpg", jpeg(shade=GOOD)))
    stage.cloud.put("incoming/l/s/a.jpg", jpeg(shade=GOOD))
    stage.cloud.calls.clear()
    assert stage.passes(datetime.now(UTC) + timedelta(hours=1)).go_on(900).announced == 1
    assert {needs[call] for call in stage.cloud.calls} | LAMBDA == allowed("ReconcileRole")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            ["upload", "overwrite", "lose", "deliver", "deliver twice", "reconcile", "interrupt"]
        ),
        min_size=2,
        max_size=10,
    )
)
def test_whatever_messages_are_lost_each_version_ends_with_one_record(stage: Stage, steps: list[str]) -> None:
    stage.reset()
    uploaded: list[tuple[str, str]] = []
    waiting: list[dict[str, Any]] = []
    for number, step in enumerate(steps):
        if step in ("upload", "overwrite"):
            key = "incoming/l/s/same.jpg" if step == "overwrite" else f"incoming/l/s/{number}.jpg"
            waiting.append(stage.cloud.put(key, b"%d" % number))
            uploaded.append(stage.identity(waiting[-1], key))
        elif step == "lose":
            del waiting[: len(waiting) // 2 + 1]
        elif step.startswith("deliver"):
            for _ in range(2 if step.endswith("twice") else 1):
                stage.cloud.inspect(*[message(record, number=n) for n, record in enumerate(waiting)])
            waiting.clear()
        elif step == "reconcile":
            stage.ask()
        else:
            stage.passes(datetime.now(UTC) + timedelta(hours=1)).go_on(0)
    stage.deliver()
    stage.ask()
    stage.deliver()
    assert stage.recorded() == sorted(uploaded)
    assert stage.ask()["missing"] == 0

"""Images whose announcement is lost are announced again, and end with one record each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers import reconcile
from reconciliation import queues
from reconciliation.passes import Memory
from tests.inspection_support import Context, jpeg, message
from tests.integration.moto_cloud import DEFECT, GOOD
from tests.integration.reconcile_stage import DAY, Stage
from tests.integration.test_privileges import LAMBDA, allowed

ODD_KEYS = (
    "incoming/linie ü/top/a+b %2B&?.jpg",
    "incoming/line-1/top/a.jpg/b.jpg",
    "incoming/x",
    "incoming/l/s/日本.txt",
)


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


@pytest.mark.promise(28)
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

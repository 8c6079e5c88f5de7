"""The messages of a replay: an image keeps what nothing better can replace, and waits until it is counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.announcements import StoredVersion, announcement
from contract.inspections import Verdict, timestamp
from contract.s3 import split
from inspection.events import ImageEvent
from inspection.inspector import MODEL_ERROR
from inspection.objects import DELETED
from inspection.queue import Message, Queue
from inspection.records import Inspection, Record
from inspection.resting import Resting, shifts_of
from inspection.rules import Judgement, Reason
from inspection.search import Page
from inspection.store import Inspections
from replay.announcing import Announcer, Asked
from replay.replayer import Replayer
from replay.requests import answer
from replay.runs import Runs
from review.items import to_item
from tests.unit.review.desk import Desk
from tests.unit.review.test_replays import ALL, desk_run, judged_by, track, writer


@dataclass
class Deferring(Queue):
    """Remembers what was sent again."""

    deferred: list[str] = field(default_factory=list)

    def defer(self, message: Message) -> int:
        self.deferred.append(message.id)
        return 5

    def hasten(self, message: Message) -> None:
        raise AssertionError("no message fails")


@dataclass(frozen=True)
class Judging(Replayer):
    """Judges as it is told, without an endpoint."""

    judgement: Judgement = field(kw_only=True)

    def inspected(self, event: ImageEvent, message: Message, deadline: float) -> Inspection:
        return Inspection(event, self.judgement, rules_version="2")


def replayer(desk: Desk, judgement: Judgement) -> Judging:
    nothing: Any = None
    return Judging(
        objects=nothing,
        detector=nothing,
        rules=nothing,
        inspections=Inspections(desk.client, "inspections"),
        queue=Deferring(),
        resting=Resting(shifts_of("", "UTC"), lambda: True),
        max_pixels=1,
        max_receive_count=5,
        index_shards=1,
        retention_days=400,
        writer=writer(desk),
        judgement=judgement,
    )


def message(record: Record, run: str | None) -> dict[str, Any]:
    version = StoredVersion(
        *split(record["image"]), record["version_id"], datetime.fromisoformat(record["received_at"])
    )
    replay = {"replay": {"run": run, "alert": False, "by": "ann"}} if run else {}
    return {
        "messageId": "1",
        "receiptHandle": "1",
        "body": json.dumps(announcement(version, "eu-central-1") | replay),
    }


def counts(desk: Desk, run: str) -> dict[str, int]:
    found = Runs(desk.client, "statistics").read(run)
    assert found is not None
    return found.counts


def stored(desk: Desk, **changes: Any) -> Record:
    record = judged_by("7", "pass") | changes
    desk.client.put_item(TableName="inspections", Item=to_item(record))
    return record


@pytest.mark.parametrize(
    "judgement",
    [
        Judgement(Verdict.UNREADABLE, [Reason(DELETED, "it was deleted")]),
        Judgement(Verdict.REVIEW, [Reason(MODEL_ERROR, "the model failed")]),
    ],
    ids=lambda judgement: judgement.reasons[0].code,
)
def test_an_image_that_cannot_be_judged_now_keeps_its_judgement(desk: Desk, judgement: Judgement) -> None:
    old, run = stored(desk), desk_run(desk)
    for _ in range(2):
        outcome = replayer(desk, judgement).inspect([message(old, run)], 60)
        assert outcome.failed == []
    after = desk.record(old)
    assert (after["verdict"], after["model"]["version"], "replay" in after) == ("pass", "7", False)
    assert counts(desk, run) == {"done": 1, "kept": 1, judgement.reasons[0].code: 1}


def test_an_image_whose_picture_cannot_be_read_any_more_by_todays_checks_becomes_unreadable(
    desk: Desk,
) -> None:
    old, run = stored(desk), desk_run(desk)
    judgement = Judgement(Verdict.UNREADABLE, [Reason("corrupt_image", "it is cut short")])
    for _ in range(2):
        replayer(desk, judgement).inspect([message(old, run)], 60)
    after = desk.record(old)
    assert (after["verdict"], after["rules_version"], "model" in after) == ("unreadable", "2", False)
    assert counts(desk, run) == {"done": 1, "pass>unreadable": 1}


def test_an_image_that_is_not_counted_yet_waits(desk: Desk) -> None:
    young = judged_by("7", "pass") | {"inspected_at": timestamp(datetime.now(UTC) - timedelta(minutes=1))}
    desk.client.put_item(TableName="inspections", Item=to_item(young))
    run, judgement = desk_run(desk), Judgement(Verdict.FAIL, [])
    waiting = replayer(desk, judgement)
    waiting.inspect([message(young, run)], 60)
    assert isinstance(waiting.queue, Deferring)
    assert waiting.queue.deferred == ["1"]
    assert desk.record(young)["verdict"] == "pass"
    track(desk, young)
    replayer(desk, judgement).inspect([message(young, run)], 60)
    assert desk.record(young)["verdict"] == "fail"


def test_a_record_that_has_expired_meanwhile_is_counted_as_gone(desk: Desk) -> None:
    run = desk_run(desk)
    replayer(desk, Judgement(Verdict.PASS, [])).inspect([message(judged_by("7", "pass"), run)], 60)
    assert counts(desk, run) == {"done": 1, "gone": 1}


def test_a_message_without_a_replay_is_no_such_message(desk: Desk) -> None:
    old = stored(desk)
    outcome = replayer(desk, Judgement(Verdict.FAIL, [])).inspect([message(old, None)], 60)
    assert outcome.counts[()]["UnknownMessages"] == 1
    assert desk.record(old)["verdict"] == "pass"
    assert Asked.of("[]") is None


class Pages:
    """A search with three pages."""

    def __init__(self, pages: Sequence[Sequence[Record]]) -> None:
        self._pages = pages
        self.asked: list[str | None] = []

    def page(self, wanted: Any, limit: int, position: str | None = None) -> Page:
        self.asked.append(position)
        number = int(position or 0)

        following = str(number + 1) if number + 1 < len(self._pages) else None
        return Page(list(self._pages[number]), following)


class Sqs:
    """Takes batches of messages."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    def send_message_batch(self, QueueUrl: str, Entries: Any) -> Any:
        assert len(Entries) <= 10
        self.bodies += [json.loads(entry["MessageBody"]) for entry in Entries]
        return {}


def test_images_are_announced_page_by_page_and_an_interruption_goes_on_where_it_was(desk: Desk) -> None:
    records = [judged_by("7", "pass", f"SN{number}") for number in range(25)]
    unversioned = judged_by("7", "fail", "OLD") | {"version_id": "null"}
    pages, sqs, times = (
        Pages([records[:12], records[12:24], [records[24], unversioned]]),
        Sqs(),
        iter(range(1000)),
    )
    search: Any = pages
    client: Any = sqs
    announcer = Announcer(
        search, Runs(desk.client, "statistics"), client, "queue", "eu-central-1", lambda: 30.0 * next(times)
    )
    counted = answer(announcer, {"count": ALL.document()}, 60)
    assert (counted["by_verdict"], counted["position"]) == ({"pass": 12}, "1")
    started = answer(announcer, {"start": ALL.document(), "alert": True, "by": "ann"}, 60)
    seen = [answer(announcer, {"announce": started["id"]}, 20) for _ in range(4)]
    assert [each["announced"] for each in seen] == [12, 24, 25, 25]
    assert [each["complete"] for each in seen] == [False, False, True, True]
    assert [body["Records"][0]["s3"]["object"]["key"] for body in sqs.bodies] == [
        split(record["image"])[1] for record in records
    ]
    assert sqs.bodies[0]["replay"] == {"run": started["id"], "alert": True, "by": "ann"}
    assert answer(announcer, {"show": "nothing"}, 60) == {"unknown": "nothing"}
    with pytest.raises(ValueError, match="no request"):
        answer(announcer, {"announce": 7}, 60)

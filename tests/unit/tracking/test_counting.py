"""Each record is counted exactly once: repeated, late, reordered and interrupted deliveries have one effect."""

import random
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers import track
from inspection.events import normalise_sequencer
from inspection.records import Record
from tests.unit.tracking.stage import START, Stage, expected, mixed, record
from tracking.counters import Decided, decision_updates
from tracking.places import Places
from tracking.transactions import Transactions


def test_records_are_counted_by_the_hour_and_the_day_of_their_arrival(stage: Stage) -> None:
    late = record("A", "fail", labels=("scratches", "dent"), inspected=START + timedelta(days=2))
    assert stage.deliver(late, record("B", "review"), record("C"), record("D", "unreadable")) == []

    hour, day = (
        stage.counters()["2026-01-31T08", "line-1/top/7"],
        stage.counters()["2026-01-31", "line-1/top/7"],
    )
    assert hour == day
    assert {name: number for name, number in hour.items() if not name.startswith("queued")} == {
        "inspected": 3,
        "fail": 1,
        "defect:scratches": 1,
        "defect:dent": 1,
        "review": 1,
        "doubt:scratches": 1,
        "pass": 1,
    }
    assert stage.counters()["2026-01-31T08", "line-1/top/"] == {"inspected": 1, "unreadable": 1}


def test_a_class_counts_once_for_each_image(stage: Stage) -> None:
    stage.deliver(record("A", "fail", labels=("dent", "dent")))
    assert stage.counters()["2026-01-31T08", "line-1/top/7"]["defect:dent"] == 1


def test_names_with_separators_are_kept_apart(stage: Stage) -> None:
    stage.deliver(record("A", line="a#b", station="c"), record("B", line="a", station="b#c"))
    keys = {item["sk"] for item in stage.items() if item["pk"].startswith("hour#")}
    assert keys == {"08#a%23b#c#7", "08#a#b%23c#7"}


def test_a_batch_that_does_not_fit_into_one_transaction_is_counted_in_several(stage: Stage) -> None:
    batch = mixed(60)
    assert stage.deliver(*batch) == []
    assert stage.counters() == expected(batch)
    assert stage.counting == 2


def uploads_of(draw: Any) -> list[Record]:
    """Draw uploads; those of an image in the bucket without versions replace each other."""
    uploads = []
    for number in range(draw(st.integers(1, 7))):
        changes: dict[str, Any] = {
            "at": START + timedelta(minutes=30 * number),
            "labels": draw(st.sampled_from([("dent",), ("scratches",), ("dent", "scratches")])),
        }
        name, verdict = draw(st.sampled_from("abc")), draw(st.sampled_from(["pass", "fail", "review"]))
        if draw(st.booleans()):
            changes |= {"version_id": "null"}
            if draw(st.booleans()):
                changes |= {"sequencer": normalise_sequencer("")}
        else:
            changes |= {"version_id": f"v{number}"}
        uploads.append(record(name, verdict, **changes))
    return uploads


def surviving(uploads: list[Record]) -> list[Record]:
    """Return the records that the inspections table holds in the end: it lets the same upload win."""
    table: dict[tuple[str, str], Record] = {}
    for upload in uploads:
        key = upload["image"], upload["version_id"]
        former = table.get(key)
        missing = normalise_sequencer("")
        if (
            former is None
            or former["sequencer"] < upload["sequencer"]
            or (
                former["sequencer"] == upload["sequencer"] == missing
                and former["received_at"] < upload["received_at"]
            )
        ):
            table[key] = upload
    return list(table.values())


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), order=st.randoms(use_true_random=False))
def test_repeated_and_shuffled_records_are_counted_as_if_each_had_come_once(
    stage: Stage, data: st.DataObject, order: random.Random
) -> None:
    stage.reset()
    uploads = uploads_of(data.draw)
    deliveries = uploads + [order.choice(uploads) for _ in range(order.randint(0, 6))]
    order.shuffle(deliveries)
    while deliveries:
        size = order.randint(1, 4)
        batch, deliveries = deliveries[:size], deliveries[size:]
        assert stage.deliver(*batch) == []

    kept = surviving(uploads)
    assert stage.counters() == expected(kept)
    assert {(item["id"], item["inspected_at"]) for item in stage.feed()} == {
        (item["id"], item["inspected_at"]) for item in kept
    }


# Before a call is after the one before it: both are tried where more is at stake.
def refused(code: str, **more: Any) -> dict[str, Any]:
    """Return an error of DynamoDB. Nothing is written then."""
    return {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {}, **more}


def cancelled(*reasons: str) -> dict[str, Any]:
    """Return DynamoDB's answer that a transaction was cancelled, with a reason for each of its first actions."""
    listed = [{"Code": reason, "Message": "no"} for reason in reasons]
    return refused("TransactionCanceledException", CancellationReasons=listed)


@pytest.mark.parametrize(
    "problem",
    [
        cancelled("None", "TransactionConflict"),
        cancelled("ThrottlingError"),
        refused("ThrottlingException"),
        refused("InternalServerError"),
        ConnectTimeoutError(endpoint_url="https://test"),
    ],
    ids=["conflict", "throttled action", "throttled", "internal", "no answer"],
)
def test_a_transaction_that_fails_for_the_moment_is_tried_again(
    stage: Stage, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(track, "Transactions", partial(Transactions, sleep=pauses.append))
    stage.restart()
    answers = [problem, problem]

    def answer(_: bytes) -> Any:
        if not answers:
            return None
        following = answers.pop()
        if isinstance(following, Exception):
            raise following
        return following

    stage.answer = answer
    batch = [record("A"), record("B", "fail", version_id="null")]
    assert stage.deliver(*batch) == []
    assert stage.counters() == expected(batch)
    assert len(pauses) == 2
    assert max(pauses) < 1


@pytest.mark.parametrize("version", ["v1", "null"])
def test_a_record_that_cannot_be_counted_now_comes_again_with_the_next_delivery(
    stage: Stage, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track, "Transactions", partial(Transactions, sleep=lambda _: None))
    stage.restart()
    blocked = record("B", line="line-2", version_id=version)

    def answer(body: bytes) -> Any:
        return cancelled("TransactionConflict") if b"line-2" in body else None

    stage.answer = answer
    batch = [record("A"), blocked, record("C", at=START + timedelta(hours=3))]
    failed = stage.deliver(*batch)
    assert 1 in failed
    stage.answer = None
    assert stage.deliver(*[batch[number] for number in failed]) == []
    assert stage.counters() == expected(batch)


def test_a_record_that_dynamodb_refuses_for_good_keeps_no_other_from_being_counted(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    poison = record("POISON")

    def answer(body: bytes) -> Any:
        return refused("ValidationException") if b"POISON" in body else None

    stage.answer = answer
    others = mixed(5)
    assert stage.deliver(*others[:2], poison, *others[2:]) == []
    assert stage.counters() == expected(others)
    assert any("cannot be counted" in message for message in caplog.messages)


def test_a_missing_permission_is_no_reason_to_skip_records(stage: Stage) -> None:
    stage.answer = lambda _: refused("AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        stage.deliver(record())


def test_records_are_counted_while_the_review_queue_is_down_and_are_queued_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWS_TABLE", "missing")
    stage.restart()
    batch = [record("A", "review"), record("B", "unreadable")]
    assert stage.deliver(*batch) == [0]
    assert stage.counters() == expected(batch)

    monkeypatch.setenv("REVIEWS_TABLE", "reviews")
    stage.restart()
    assert stage.deliver(batch[0]) == []
    assert stage.counters() == expected(batch)
    assert stage.queued() == {batch[0]["id"]}


def test_what_is_added_to_a_record_later_costs_no_call(stage: Stage) -> None:
    counted = record("A", "fail", version_id="null")
    stage.deliver(counted)
    for name in ("alert", "picture", "thumbnail", "review", "acknowledged"):
        assert stage.deliver(counted | {name: "x"}, name="MODIFY") == []
        assert stage.calls == []


def test_a_heat_map_beside_a_record_is_neither_counted_nor_queued(stage: Stage) -> None:
    heat_map = {"image": "heat-map#6d0f", "version_id": "ab12", "heat_map": b"PNG", "expires_at": 1}
    unusual = record("A", "review", labels=("anomaly",))
    assert stage.deliver(heat_map, unusual) == []
    assert stage.counters() == expected([unusual])
    assert [item["id"] for item in stage.items("reviews") if "image" in item] == [unusual["id"]]
    assert stage.deliver(heat_map) == []
    assert not {"TransactWriteItems", "PutItem"} & set(stage.calls)


def test_a_station_is_listed_with_its_models_and_when_it_was_seen_first_and_last(stage: Stage) -> None:
    later = START + timedelta(hours=1)
    stage.deliver(record("A", model="7"), record("B", model="8", inspected=later))
    stage.restart()
    stage.deliver(record("C", model="6", inspected=START), record("D", "unreadable", station="side #2"))

    places = Places(stage.client, "statistics")
    assert places.lines() == ["line-1"]
    side, top = places.read()
    assert (side["station"], side["models"]) == ("side #2", [])
    assert top == {
        "line": "line-1",
        "station": "top",
        "first_seen": "2026-01-31T08:20:01.000Z",
        "last_seen": "2026-01-31T09:20:00.000Z",
        "models": ["6", "7", "8"],
    }


def test_a_busy_station_is_written_once_a_minute(stage: Stage) -> None:
    for seconds, writes in ((0, True), (20, False), (90, True)):
        at = START + timedelta(seconds=seconds)
        stage.deliver(record(f"SN{seconds}", "unreadable", inspected=at))
        assert ("UpdateItem" in stage.calls) == writes


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        (None, Decided("fail", frozenset({"dent"})), {"decided:pass:fail": 1, "decided:pass:fail:dent": 1}),
        (Decided("pass"), Decided("fail"), {"decided:pass:pass": -1, "decided:pass:fail": 1}),
        (Decided("fail", frozenset({"dent"})), Decided("fail"), {"decided:pass:fail:dent": -1}),
        (Decided("pass"), None, {"decided:pass:pass": -1}),
        (Decided("pass"), Decided("pass"), {}),
    ],
)
def test_a_decision_moves_the_count_of_the_one_before_it(
    stage: Stage, before: Decided | None, after: Decided | None, counts: dict[str, int]
) -> None:
    decided = record("A")
    actions = decision_updates("statistics", decided, before, after)
    if actions:
        stage.client.transact_write_items(TransactItems=actions)
    spans = ("2026-01-31T08", "2026-01-31")
    assert stage.counters() == ({(span, "line-1/top/7"): counts for span in spans} if counts else {})


def test_counters_live_as_long_as_the_records_that_they_count_and_days_longer(stage: Stage) -> None:
    counted = record("A")
    stage.deliver(counted)
    expiry = {
        item["pk"].partition("#")[0]: item["expires_at"] for item in stage.items() if "expires_at" in item
    }
    assert expiry["hour"] == counted["expires_at"]
    assert expiry["day"] > counted["expires_at"]
    assert expiry["feed"] < counted["expires_at"]

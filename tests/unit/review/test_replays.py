"""An image that is judged again: afterwards all is as if today's model had judged it first, but for what people did."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from contract.inspections import timestamp
from inspection.alerts import is_due
from inspection.records import Record
from inspection.store import Inspections
from replay.announcing import Asked
from replay.runs import Runs, Selection
from replay.writing import Writer, Written
from review.history import inspection_subject
from review.items import from_item, to_item
from review.sampling import Sampling
from tests.crashes import Crash, calls
from tests.unit.review.desk import PASSED, SCRATCH, START, Desk, failed, record
from tracking.beginning import Beginning
from tracking.tracker import Tracker
from tracking.transactions import Transactions

VERDICTS = ("pass", "fail", "review")
SAMPLING = Sampling(pass_share=0.5, fail_share=0.5)
ALL = Selection(START - timedelta(days=1), START + timedelta(days=1))
# Their ids draw a lot below and above the shares.
DRAWN, NOT_DRAWN = "SN1", "SN5"


def writer(desk: Desk) -> Writer:
    transactions = Transactions(desk.client, "statistics", sleep=lambda _: None)
    return Writer(
        inspections=Inspections(desk.client, "inspections"),
        inspections_table="inspections",
        statistics_table="statistics",
        runs=Runs(desk.client, "statistics"),
        queue=desk.queue,
        sampling=SAMPLING,
        history=desk.history,
        beginning=Beginning(desk.client, "statistics"),
        transactions=transactions,
        now=desk.clock,
    )


def inspected(desk: Desk, judged: Record) -> None:
    """Let an image be inspected, counted and put into the queue."""
    desk.client.put_item(TableName="inspections", Item=to_item(judged))
    track(desk, judged)


def track(desk: Desk, judged: Record) -> None:
    transactions = Transactions(desk.client, "statistics", sleep=lambda _: None)
    Beginning(desk.client, "statistics").remember(START)
    if selection := SAMPLING.select(judged):
        desk.queue.enqueue(judged, selection)
    tracker = Tracker(transactions, lambda each: SAMPLING.select(each) is not None, desk.clock)
    assert tracker.count([judged]) == []


def again(desk: Desk, old: Record, new: Record, run: str = "", alert: bool = False) -> Written:
    run = run or desk_run(desk, alert)
    stored = Inspections(desk.client, "inspections").get(old["image"], old["version_id"])
    assert stored is not None
    return writer(desk).write(stored, new, Asked(run, alert, "ann"))


def desk_run(desk: Desk, alert: bool = False) -> str:
    return Runs(desk.client, "statistics").start(ALL, alert, "ann", START).id


def judged_by(model: str, verdict: str, name: str = DRAWN) -> Record:
    """Return what an inspection of an image by a model writes, as `build_record` makes it."""
    at = timestamp(START + timedelta(minutes=int(model)))
    label = "dent" if model == "8" else "scratch"
    found: Record = record(name, verdict, model={"name": "steel", "version": model}, inspected_at=at)
    for reason in found["reasons"]:
        reason["label"] = label
    # As DynamoDB's library takes numbers.
    decimal: Record = json.loads(json.dumps(found), parse_float=Decimal)
    return {**decimal, "sequencer": "0A", "rules_version": "1"}


def world(desk: Desk) -> dict[str, Any]:
    """Return what counters and review queue say, without times."""
    items = [item for item in desk.items("reviews") if "image" in item]
    shown = ("verdict", "cause", "share", "priority", "why", "state", "rank")
    return {
        "counters": desk.counters() | {"inspected": inspections(desk)},
        "queue": {item["id"]: {name: item.get(name) for name in shown} for item in items},
        "decisions": [
            [decision["verdict"] for decision in item["decisions"]] for item in items if item["decisions"]
        ],
    }


def inspections(desk: Desk) -> dict[str, int]:
    """Return how many images each cell counts, by the hour and the day."""
    found = {
        f"{item['pk']} {item['sk']}": {name: item.get(name, 0) for name in ("inspected", *VERDICTS)}
        for item in desk.items("statistics")
        if item["pk"].startswith(("hour#", "day#"))
    }
    return {cell: counts for cell, counts in found.items() if any(counts.values())}  # type: ignore[misc]


def test_both_lots_are_drawn() -> None:
    assert SAMPLING.select(judged_by("7", "pass", DRAWN)) is not None
    assert SAMPLING.select(judged_by("7", "pass", NOT_DRAWN)) is None


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        *((before, after, DRAWN) for before, after in itertools.permutations(VERDICTS, 2)),
        *(("fail", "fail", DRAWN), ("review", "pass", NOT_DRAWN), ("pass", "fail", NOT_DRAWN)),
    ],
)
def test_counters_and_queue_are_as_if_todays_model_had_judged_first(
    desk: Desk, before: str, after: str, name: str
) -> None:
    new = judged_by("8", after, name)
    inspected(desk, new)
    expected = world(desk)

    desk.reset()
    old = judged_by("7", before, name)
    inspected(desk, old)
    run = desk_run(desk)
    assert again(desk, old, new, run) is Written.JUDGED
    assert world(desk) == expected
    stored = desk.record(old)
    assert (stored["verdict"], stored["model"]["version"], stored["replay"]["number"]) == (after, "8", 2)

    # The old judgement is readable, and the message may come again.
    (entry,) = desk.history.read(inspection_subject(old["id"]))
    assert (entry["action"], entry["by"]) == ("judged_again", "ann")
    kept = ("verdict", "reasons", "model", "inspected_at")
    assert {key: entry["old"][key] for key in kept} == {key: from_item(to_item(old))[key] for key in kept}
    assert again(desk, old, new, run) is Written.DUPLICATE
    assert world(desk) == expected
    found = Runs(desk.client, "statistics").read(run)
    assert found is not None
    assert found.counts == {"done": 1, f"{before}>{after}": 1}


@pytest.mark.parametrize(
    ("before", "after"), [("pass", "fail"), ("fail", "pass"), ("review", "fail"), ("fail", "review")]
)
def test_what_a_person_has_decided_stays_and_is_counted_under_the_new_verdict(
    desk: Desk, before: str, after: str
) -> None:
    new = judged_by("8", after)
    inspected(desk, new)
    desk.decide(new["id"], "bob", failed(SCRATCH))
    expected = world(desk)["counters"]

    desk.reset()
    old = judged_by("7", before)
    inspected(desk, old)
    desk.decide(old["id"], "bob", failed(SCRATCH))
    run = desk_run(desk)
    assert again(desk, old, new, run) is Written.JUDGED
    assert world(desk)["counters"] == expected
    assert world(desk)["decisions"] == [["fail"]]
    stored = desk.record(old)
    assert (stored["verdict"], stored["review"]["verdict"]) == (after, "fail")
    found = Runs(desk.client, "statistics").read(run)
    assert found is not None
    assert found.counts.get("reviewed") == 1
    assert found.counts.get("differs", 0) == (1 if after == "pass" else 0)

    # He changes his mind afterwards.
    desk.decide(old["id"], "bob", PASSED)
    changed = world(desk)["counters"]
    desk.reset()
    inspected(desk, new)
    desk.decide(new["id"], "bob", PASSED)
    assert changed == world(desk)["counters"]


def test_the_same_model_and_rules_change_nothing(desk: Desk) -> None:
    old = judged_by("7", "review")
    inspected(desk, old)
    before = world(desk)
    run = desk_run(desk)
    assert (
        again(desk, old, {**old, "inspected_at": timestamp(START + timedelta(hours=1))}, run) is Written.SAME
    )
    assert world(desk) == before
    assert desk.record(old)["inspected_at"] == old["inspected_at"]
    assert desk.history.read(inspection_subject(old["id"])) == []
    found = Runs(desk.client, "statistics").read(run)
    assert found is not None
    assert found.counts == {"done": 1, "same": 1, "review>review": 1}


def test_an_image_that_somebody_looks_at_stays_in_the_queue(desk: Desk) -> None:
    old, new = judged_by("7", "review", NOT_DRAWN), judged_by("8", "pass", NOT_DRAWN)
    inspected(desk, old)
    claimed = desk.queue.claim(old["id"], "bob")
    assert again(desk, old, new) is Written.JUDGED
    assert desk.queue.get(old["id"])["verdict"] == "pass"
    desk.decisions.decide(old["id"], "bob", PASSED, claimed["version"])
    assert desk.record(old)["review"]["verdict"] == "pass"


@pytest.mark.parametrize("crash_before", [True, False], ids=["before", "after"])
def test_a_crash_at_any_call_is_healed_by_the_next_delivery(
    desk: Desk, crash_before: bool, tried: Callable[..., None]
) -> None:
    old, new = judged_by("7", "fail"), judged_by("8", "pass", DRAWN)
    inspected(desk, old)
    desk.decide(old["id"], "bob", failed(SCRATCH))
    run = desk_run(desk)
    saved = desk.save()
    with calls() as names:
        again(desk, old, new, run)
    expected, number = world(desk), len(names)
    counts = Runs(desk.client, "statistics").read(run)
    for crash_at in range(1, number + 1):
        desk.restore(saved)
        with pytest.raises(Crash), calls(crash_at, before=crash_before):
            again(desk, old, new, run)
        again(desk, old, new, run)
        assert world(desk) == expected, names[crash_at - 1]
        assert Runs(desk.client, "statistics").read(run) == counts
    assert number >= 4
    tried(faults=number)


def test_nobody_is_alerted_unless_it_was_asked_for(desk: Desk) -> None:
    for number, alert in enumerate((False, True)):
        name = f"SN{number}"
        old, new = judged_by("7", "pass", name), judged_by("8", "fail", name)
        inspected(desk, old)
        again(desk, old, new, alert=alert)
        stored = desk.record(old)
        assert stored["replay"]["alert"] is alert
        # A picture of the new judgement is drawn in any case.
        assert is_due(stored)
        assert is_due({**stored, "picture": "annotated/1.jpg"}) is alert


def test_an_alert_that_is_still_owed_is_sent(desk: Desk) -> None:
    old, new = judged_by("7", "fail"), judged_by("8", "fail")
    inspected(desk, old)
    again(desk, old, new)
    assert is_due({**desk.record(old), "picture": "annotated/1.jpg"})


def test_an_alert_that_was_sent_is_not_sent_again(desk: Desk) -> None:
    old, new = (
        judged_by("7", "fail") | {"alert": {"id": "1", "sent_at": timestamp(START)}},
        judged_by("8", "fail"),
    )
    inspected(desk, old)
    again(desk, old, new, alert=True)
    stored = desk.record(old)
    assert stored["alert"]["id"] == "1"
    assert not is_due({**stored, "picture": "annotated/1.jpg"})


def test_an_image_that_is_older_than_the_counters_leaves_them_alone(desk: Desk) -> None:
    old, new = judged_by("7", "fail", NOT_DRAWN), judged_by("8", "pass", NOT_DRAWN)
    desk.client.put_item(TableName="inspections", Item=to_item(old))
    Beginning(desk.client, "statistics").remember(START + timedelta(days=2))
    again(desk, old, new)
    assert world(desk)["counters"] == {"inspected": {}}
    assert desk.record(old)["verdict"] == "pass"

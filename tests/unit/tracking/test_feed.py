"""The feed: nobody who follows it misses a record, whoever writes it and whenever."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.inspections import timestamp
from inspection.records import Record
from review.items import to_item
from tests.unit.tracking.stage import START, Stage, record
from tracking.feed import Feed, Position
from tracking.summaries import LATE, feed_items
from tracking.transactions import Transactions

LINES = ["line-1", "line-2", "line-3"]
SECOND = timedelta(seconds=1)


class Clock:
    """The time of a simulation."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Memory:
    """The part of DynamoDB that a feed reads, in memory: a simulation asks it thousands of times."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def query(self, **request: Any) -> dict[str, Any]:
        values = {name: value["S"] for name, value in request["ExpressionAttributeValues"].items()}
        found = sorted(
            (item for item in self.items if item["pk"] == values[":pk"] and item["sk"] > values[":behind"]),
            key=lambda item: item["sk"],
            reverse=not request["ScanIndexForward"],
        )
        more = {"LastEvaluatedKey": {}} if len(found) > request["Limit"] else {}
        return {"Items": [to_item(item) for item in found[: request["Limit"]]], **more}


def write(stage: Stage, item: Record, counted_at: datetime) -> None:
    """Write a record's items, as the function does that counts it."""
    transactions = Transactions(stage.client, "statistics")
    for entry in feed_items(item, counted_at):
        stage.client.put_item(**transactions.put(entry)["Put"])


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["serial"] for item in items]


def test_without_a_position_the_newest_come_the_oldest_of_them_first(stage: Stage) -> None:
    for number in range(6):
        at = START + number * SECOND
        write(stage, record(f"SN{number}", line=LINES[number % 2], inspected=at), at)
    feed = Feed(stage.client, "statistics", now=lambda: START + 6 * SECOND)
    items, _ = feed.newest(LINES, 3)
    assert names(items) == ["SN3", "SN4", "SN5"]


def test_an_item_tells_what_was_found_in_short(stage: Stage) -> None:
    write(stage, record("A", "fail", severity="major", labels=tuple("abcde")), START)
    ((item,), _) = Feed(stage.client, "statistics").newest(["line-1"], 5)
    assert (item["serial"], item["verdict"], item["severity"]) == ("A", "fail", "major")
    assert [reason["label"] for reason in item["reasons"]] == ["a", "b", "c"]
    assert {"pk", "sk", "expires_at", "counted_at"}.isdisjoint(item)


def test_an_empty_feed_has_a_position_from_which_it_can_be_followed(stage: Stage) -> None:
    clock = Clock()
    feed = Feed(stage.client, "statistics", now=clock)
    items, position = feed.newest([], 20)
    assert items == []
    clock.now += SECOND
    write(stage, record("A", inspected=START - SECOND), clock.now)
    assert names(feed.after(["line-1"], position, 20)[0]) == ["A"]


def test_a_record_that_is_counted_minutes_after_its_inspection_reaches_who_follows(stage: Stage) -> None:
    clock = Clock()
    feed = Feed(stage.client, "statistics", now=clock)
    write(stage, record("NEW", inspected=START), START)
    _, position = feed.newest(["line-1"], 20)
    for _ in range(60):
        clock.now += 5 * SECOND
        _, position = feed.after(["line-1"], position, 20)
    write(stage, record("OLD", inspected=START - SECOND), clock.now)
    clock.now += SECOND
    items, _ = feed.after(["line-1"], position, 20)
    assert names(items) == ["OLD"]


def followed_until_the_clock_is_set_back(stage: Stage) -> tuple[Clock, Feed, Position]:
    clock = Clock()
    feed = Feed(stage.client, "statistics", now=clock)
    write(stage, record("BEFORE", inspected=clock.now), clock.now)
    _, position = feed.newest(["line-1"], 5)
    clock.now -= timedelta(hours=1)
    return clock, feed, position


def test_who_follows_gets_what_comes_after_the_clock_was_set_back(stage: Stage) -> None:
    clock, feed, position = followed_until_the_clock_is_set_back(stage)
    for name in ("FIRST", "SECOND"):
        clock.now += SECOND
        write(stage, record(name, inspected=clock.now), clock.now)
        clock.now += SECOND
        items, position = feed.after(["line-1"], position, 5)
        assert name in names(items)


def test_what_came_while_the_clock_was_behind_appears_also_if_it_is_set_right_at_once(stage: Stage) -> None:
    clock, feed, position = followed_until_the_clock_is_set_back(stage)
    _, position = feed.after(["line-1"], position, 5)
    clock.now += SECOND
    write(stage, record("BEHIND", inspected=clock.now), clock.now)
    clock.now += timedelta(hours=1)
    items, _ = feed.after(["line-1"], position, 5)
    assert "BEHIND" in names(items)


def test_more_items_ahead_of_a_clock_that_was_set_back_than_an_answer_has_do_not_repeat_it_for_ever(
    stage: Stage,
) -> None:
    clock = Clock()
    feed = Feed(stage.client, "statistics", now=clock)
    for number in range(4):
        write(stage, record(f"SN{number}", inspected=clock.now), clock.now)
        clock.now += SECOND
    _, position = feed.newest(["line-1"], 5)
    clock.now -= timedelta(hours=1)
    _, position = feed.after(["line-1"], position, 2)
    assert not position.more


def test_a_page_that_comes_back_after_an_hour_gets_everything_in_parts(stage: Stage) -> None:
    clock = Clock()
    feed = Feed(stage.client, "statistics", now=clock)
    _, position = feed.newest(LINES, 20)
    for number in range(25):
        at = START + number * 60 * SECOND
        write(stage, record(f"SN{number:02d}", line=LINES[number % 3], inspected=at), at)
    clock.now += timedelta(hours=1)
    seen = []
    while True:
        items, position = feed.after(LINES, position, 10)
        assert len(items) <= 10
        seen += names(items)
        if not position.more:
            break
    assert seen == [f"SN{number:02d}" for number in range(25)]


def test_a_line_with_more_than_a_page_of_news_is_read_in_pages(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracking.feed._PAGE", 4)
    clock = Clock()
    feed = Feed(stage.client, "statistics", now=clock)
    _, position = feed.newest(LINES, 20)
    for number in range(11):
        at = START + number * SECOND / 4
        write(stage, record(f"SN{number:02d}", inspected=at), at)
    write(stage, record("OTHER", line="line-2", inspected=START + 2 * SECOND), START + 2 * SECOND)
    clock.now += 3 * SECOND
    seen: list[str] = []
    for _ in range(5):
        items, position = feed.after(LINES, position, 100)
        seen += [name for name in names(items) if name not in seen]
    assert not position.more
    assert sorted(seen) == ["OTHER", *(f"SN{number:02d}" for number in range(11))]


def test_asking_an_idle_feed_again_and_again_reads_next_to_nothing(stage: Stage) -> None:
    clock = Clock()
    feed = Feed(stage.client, "statistics", now=clock)
    for number in range(50):
        write(stage, record(f"SN{number}", inspected=START), START)
    _, position = feed.newest(["line-1"], 20)
    clock.now += timedelta(minutes=1)
    _, position = feed.after(["line-1"], position, 20)
    stage.calls.clear()
    page = feed._page("line-1", timestamp(clock.now - timedelta(seconds=10)))
    assert page["ScannedCount"] == 0
    assert feed.after(["line-1"], position, 20)[0] == []


@settings(max_examples=15)
@given(chance=st.randoms(use_true_random=False), limit=st.sampled_from([1, 3, 20]))
def test_who_follows_gets_every_record_in_spite_of_late_and_reordered_writes(
    chance: random.Random, limit: int
) -> None:
    """Writers end up to three seconds after the time that they state, some are a minute late, and clocks differ."""
    table, clock = Memory(), Clock()
    feed = Feed(cast(Any, table), "statistics", now=clock)
    _, position = feed.newest(LINES, limit)
    writes = []
    for number in range(12):
        inspected = START + chance.uniform(0, 20) * SECOND
        lag = chance.choice([0.1, 0.5, LATE.total_seconds() - 0.1, LATE.total_seconds() + 0.1, 60])
        counted_at = inspected + (lag + chance.uniform(0, 0.5)) * SECOND
        ended_at = counted_at + (0.5 + chance.choice([0, 0.2, 3])) * SECOND
        writes.append(
            (ended_at, counted_at, record(f"SN{number}", line=chance.choice(LINES), inspected=inspected))
        )
    writes.sort(key=lambda write: write[0])
    seen: set[str] = set()
    returned = 0
    for _ in range(120):
        clock.now += chance.choice([0.3, 1, 2]) * SECOND
        while writes and writes[0][0] <= clock.now:
            _, counted_at, item = writes.pop(0)
            table.items += feed_items(item, counted_at)
        items, position = feed.after(LINES, position, limit)
        returned += len(items)
        seen |= set(names(items))
    assert seen == {f"SN{number}" for number in range(12)}
    assert returned < 12 * 40


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        "[1, 2, 3]",
        '["", "2026-01-31T08:00:00.000Z", false]',
        '["2026-01-31T08:00:00.000Z#a", "2026-99-31T08:00:00.000Z", false]',
        '["2026-99-31T08:00:00.000Z#a", "2026-01-31T08:00:00.000Z", false]',
        '["~", "2026-01-31T08:00:00.000Z", false]',
        '["2026-01-31T08:00:00.000Z#a", "2026-01-31T08:00:00.000Z", 1]',
        '["2026-01-31T08:00:00.000Z#a", "2026-01-31T08:00:00.000Z"]',
    ],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"position|month"):
        Position.parse(text)


def test_a_position_survives_the_way_to_the_page_and_back() -> None:
    position = Position(f"{timestamp(START)}#a", timestamp(START), more=True)
    assert Position.parse(json.dumps(position)) == position


def test_a_made_up_position_does_not_have_two_days_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracking.feed._PAGE", 5)
    for number in range(30):
        at = START + number * 60 * SECOND
        write(stage, record(f"SN{number}", inspected=at), at)
    made_up = Position(timestamp(START + timedelta(days=1)), timestamp(START - timedelta(days=1)), more=False)
    stage.calls.clear()
    Feed(stage.client, "statistics", now=lambda: START).after(["line-1"], made_up, 20)
    assert stage.calls == ["Query"]

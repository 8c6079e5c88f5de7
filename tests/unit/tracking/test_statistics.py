"""Statistics: what the counters say about a span of time, and where a search need not look."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.records import Record
from tests.unit.tracking.stage import START, Stage, record
from tracking.beginning import Beginning
from tracking.hours import Hour, Hours, Sought
from tracking.report import control, report
from tracking.spans import By, Span, SpanError
from tracking.statistics import Statistics, Wanted

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_span_consists_of_the_whole_buckets_that_it_touches() -> None:
    days = Span.around(at("2025-12-30T23:59"), at("2026-01-02T00:00"), By.DAY)
    assert days.starts() == ["2025-12-30", "2025-12-31", "2026-01-01"]
    hours = Span.around(at("2026-01-31T08:00"), at("2026-01-31T08:00"))
    assert (hours.by, hours.starts()) == (By.HOUR, ["2026-01-31T08"])


def test_a_span_is_in_utc() -> None:
    berlin = datetime.fromisoformat("2026-02-01T00:30+01:00")
    assert Span.around(berlin, berlin, By.DAY).starts() == ["2026-01-31"]


@pytest.mark.parametrize(
    ("since", "until", "by", "message"),
    [
        (START, START - HOUR, None, "begins after"),
        (START - 15 * DAY, START, By.HOUR, "14 days"),
        (START - 402 * DAY, START, None, "400 days"),
        (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), None, "400 days"),
    ],
)
def test_a_span_that_cannot_be_read_says_why(
    since: datetime, until: datetime, by: By | None, message: str
) -> None:
    with pytest.raises(SpanError, match=message):
        Span.around(since, until, by)


@pytest.mark.parametrize(("by", "length"), [(By.HOUR, 14 * DAY), (By.DAY, 400 * DAY)])
def test_the_longest_span_can_be_asked_for_at_any_time_of_the_day(by: By, length: timedelta) -> None:
    assert Span.around(START - length, START, by).by is by


def uploads() -> list[Record]:
    """Return records of two lines and two models around the turn of a month."""
    verdicts = itertools.cycle(["pass", "fail", "review", "unreadable", "fail"])
    return [
        record(
            f"SN{index}",
            verdict,
            line=f"line-{index % 2}",
            model=str(7 + index % 3),
            at=at("2026-01-30T06:00") + index * 8 * HOUR,
        )
        for index, verdict in zip(range(12), verdicts, strict=False)
    ]


@pytest.mark.parametrize("by", list(By))
@pytest.mark.parametrize(
    "wanted",
    [Wanted(), Wanted(line="line-1"), Wanted(model="8"), Wanted(line="line-0", station="top"), Wanted("x")],
)
def test_the_report_counts_exactly_the_records_of_the_span(stage: Stage, by: By, wanted: Wanted) -> None:
    records = uploads()
    stage.deliver(*records)
    span = Span.around(at("2026-01-31T07:10"), at("2026-02-01T23:50"), by)
    answer = report(span, Statistics(stage.client, "statistics").counts(span, wanted))

    first = "2026-01-31T07" if by is By.HOUR else "2026-01-31"
    inside = [
        item
        for item in records
        if first <= item["received_at"] < "2026-02-02"
        and wanted.line in (None, item["line"])
        and wanted.model in (None, item.get("model", {}).get("version", ""))
    ]
    length = 13 if by is By.HOUR else 10
    for bucket in answer["buckets"]:
        here = [item for item in inside if item["received_at"].startswith(bucket["start"][:length])]
        assert bucket["inspected"] == len(here)
        assert bucket["fail"] == bucket["defects"].get("scratches", 0) == verdicts(here, "fail")
        assert bucket["review"] == bucket["doubts"].get("scratches", 0) == verdicts(here, "review")
    assert answer["totals"]["inspected"] == len(inside)
    assert answer["totals"]["unreadable"] == verdicts(inside, "unreadable")
    assert {row["line"]: row["inspected"] for row in answer["lines"]} == {
        line: sum(item["line"] == line for item in inside) for line in {item["line"] for item in inside}
    }
    assert sum(row["inspected"] for row in answer["models"]) == len(inside) - verdicts(inside, "unreadable")


def verdicts(records: list[Record], verdict: str) -> int:
    return sum(item["verdict"] == verdict for item in records)


def test_thirty_days_are_read_by_at_most_two_queries(stage: Stage) -> None:
    span = Span.around(START - 20 * DAY, START + 10 * DAY, By.DAY)
    stage.calls.clear()
    Statistics(stage.client, "statistics").counts(span)
    assert stage.calls == ["Query", "Query"]


def test_a_report_lists_the_buckets_in_which_nothing_was_inspected() -> None:
    answer = report(Span.around(START - 3 * HOUR, START), [])
    assert [bucket["inspected"] for bucket in answer["buckets"]] == [0, 0, 0, 0]
    assert answer["control"] == {"centre": None, "lower": [None] * 4, "upper": [None] * 4}


@given(st.lists(st.integers(0, 500).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=20))
def test_control_limits_enclose_the_centre_and_stay_within_0_and_1(counts: list[tuple[int, int]]) -> None:
    chart = control([{"inspected": inspected, "fail": fail} for inspected, fail in counts])
    for (inspected, _), lower, upper in zip(counts, chart["lower"], chart["upper"], strict=True):
        if not inspected:
            assert lower is upper is None
        else:
            assert 0 <= lower <= chart["centre"] + 1e-6
            assert chart["centre"] - 1e-6 <= upper <= 1


def found(stage: Stage, sought: Sought, since: datetime, until: datetime) -> list[Hour]:
    return list(Hours(Statistics(stage.client, "statistics"), sought).between(since, until))


@pytest.mark.parametrize(
    ("sought", "matches"),
    [
        (Sought(), lambda item: True),
        (Sought(verdict="fail"), lambda item: item["verdict"] == "fail"),
        (Sought(defect="scratches"), lambda item: item["verdict"] in ("fail", "review")),
        (Sought(defect="scratches", verdict="review"), lambda item: item["verdict"] == "review"),
        (Sought(defect="scratches", verdict="pass"), lambda item: False),
        (
            Sought(Wanted("line-1", "top", "8")),
            lambda item: item["line"] == "line-1" and "8" in str(item["model"]),
        ),
    ],
)
def test_a_search_is_told_every_hour_with_matching_images_and_their_number(
    stage: Stage, sought: Sought, matches: object
) -> None:
    assert callable(matches)
    records = uploads()
    Beginning(stage.client, "statistics").remember(at("2026-01-01T00:00"))
    stage.deliver(*records)
    since, until = at("2026-01-30T00:00"), at("2026-02-04T00:00")
    wanted: dict[str, int] = {}
    for item in records:
        if item["verdict"] != "unreadable" or sought == Sought():
            hour = item["received_at"][:13]
            wanted[hour] = wanted.get(hour, 0) + bool(matches(item))
    hours = found(stage, sought, since, until)

    assert [hour.start for hour in hours] == sorted((hour.start for hour in hours), reverse=True)
    newest = max(item["received_at"][:13] for item in records)
    for hour, number in wanted.items():
        told = [one.number for one in hours if one.start == hour]
        if number:
            assert told in ([number], [None])
        elif hour < newest[:10]:
            assert told == []
    assert all(hour.number is None or hour.number == wanted[hour.start] for hour in hours)


def test_a_search_looks_into_hours_that_are_not_or_not_yet_counted(stage: Stage) -> None:
    Beginning(stage.client, "statistics").remember(at("2026-01-30T10:30"))
    stage.deliver(record("A", "fail", at=at("2026-01-31T12:00")))
    hours = found(stage, Sought(verdict="fail"), at("2026-01-30T08:00"), at("2026-01-31T15:00"))
    assert [hour.start for hour in hours] == [
        *(
            "2026-01-31T15",
            "2026-01-31T14",
            "2026-01-31T13",
            "2026-01-31T12",
            "2026-01-31T11",
            "2026-01-31T10",
        ),
        *("2026-01-30T10", "2026-01-30T09", "2026-01-30T08"),
    ]
    assert {hour.number for hour in hours} == {None}


def test_a_search_for_a_line_that_has_been_idle_for_days_skips_those_days(stage: Stage) -> None:
    Beginning(stage.client, "statistics").remember(at("2026-01-01T00:00"))
    stage.deliver(
        record("OLD", "fail", at=at("2026-01-20T09:00"), line="line-2"),
        record("NEW", "fail", at=at("2026-01-30T09:00")),
    )
    since, until = at("2026-01-15T00:00"), at("2026-01-30T10:00")
    hours = found(stage, Sought(Wanted(line="line-2"), verdict="fail"), since, until)
    unsettled = [f"2026-01-30T{hour:02d}" for hour in (10, 9, 8, 7)]
    assert [hour.start for hour in hours] == [*unsettled, "2026-01-20T09"]


def test_a_search_in_a_stack_that_never_counted_looks_everywhere(stage: Stage) -> None:
    assert len(found(stage, Sought(verdict="fail"), START - DAY, START)) == 25

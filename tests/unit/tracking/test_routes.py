"""The API's answers about statistics, places, and the feed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests import api_support
from tests.api_support import call
from tests.unit.tracking.stage import Stage, record

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _api(stage: Stage) -> Iterator[None]:
    """Let the API make its clients anew, in the account of these tests."""
    api_support.forget()
    yield
    api_support.forget()


def test_statistics_have_buckets_totals_places_models_and_control_limits(stage: Stage) -> None:
    stage.deliver(
        record("A", "fail", at=NOW - 5 * MINUTE, labels=("dent",)),
        record("B", "pass", at=NOW - 4 * MINUTE),
        record("C", "review", at=NOW - 3 * MINUTE, line="line-2"),
    )
    answer = call("GET", "/statistics", "viewer", query={"since": "2h"})
    assert answer.status == 200
    body = answer.body
    assert body["by"] == "hour"
    assert len(body["buckets"]) == len(body["control"]["upper"]) in (2, 3)
    assert body["totals"] == {
        "inspected": 3,
        "pass": 1,
        "review": 1,
        "fail": 1,
        "unreadable": 0,
        "defects": {"dent": 1},
        "doubts": {"scratches": 1},
    }
    assert [(row["line"], row["inspected"]) for row in body["lines"]] == [("line-1", 2), ("line-2", 1)]
    assert [row["version"] for row in body["models"]] == ["7"]
    assert body["control"]["centre"] == pytest.approx(1 / 3)
    assert body["counted_since"][:10] in (f"{NOW:%Y-%m-%d}", f"{datetime.now(UTC):%Y-%m-%d}")


def test_statistics_are_filtered_by_line_station_and_model(stage: Stage) -> None:
    stage.deliver(record("A", at=NOW), record("B", at=NOW, line="line-2"), record("C", at=NOW, model="8"))
    for name, value in (("line", "line-2"), ("model", "8")):
        answer = call("GET", "/statistics", "viewer", query={"by": "day", name: value})
        assert answer.body["totals"]["inspected"] == 1
    assert call("GET", "/statistics", "viewer", query={"station": "x"}).body["totals"]["inspected"] == 0


def test_statistics_cover_the_last_seven_days_unless_they_are_asked_for_others(stage: Stage) -> None:
    assert len(call("GET", "/statistics", "viewer").body["buckets"]) == 8


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"since": "yesterday"}, "not a time"),
        ({"since": "99999999999d"}, "not a time"),
        ({"since": "9999999d"}, "not a time"),
        ({"since": "1h", "until": "2h"}, "begins after"),
        ({"since": "15d", "by": "hour"}, "14 days"),
        ({"since": "1000d"}, "400 days"),
        ({"since": "0001-01-01", "until": "9999-12-31T23:59"}, "400 days"),
        ({"by": "week"}, "hour"),
        ({"line": ""}, "line"),
    ],
)
def test_statistics_that_cannot_be_given_say_why(query: dict[str, str], word: str) -> None:
    answer = call("GET", "/statistics", "viewer", query=query)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert word in str(answer.body)


def test_places_list_the_stations(stage: Stage) -> None:
    stage.deliver(record("A", at=NOW), record("B", at=NOW, line="line-2", station="side"))
    answer = call("GET", "/places", "viewer")
    assert [(item["line"], item["station"], item["models"]) for item in answer.body["items"]] == [
        ("line-1", "top", ["7"]),
        ("line-2", "side", ["7"]),
    ]


def test_the_feed_is_followed_by_its_cursor(stage: Stage) -> None:
    stage.deliver(record("A", at=NOW - MINUTE, inspected=NOW - MINUTE))
    first = call("GET", "/changes", "viewer")
    assert [item["serial"] for item in first.body["items"]] == ["A"]

    stage.deliver(record("B", "fail", at=NOW, inspected=NOW, line="line-2"))
    second = call("GET", "/changes", "viewer", query={"after": first.body["next"]})
    (item,) = [item for item in second.body["items"] if item["serial"] == "B"]
    assert (item["verdict"], item["line"], item["reasons"][0]["label"]) == ("fail", "line-2", "scratches")
    assert second.body["more"] is False


def test_the_feed_of_a_line_contains_that_line_alone(stage: Stage) -> None:
    stage.deliver(record("A", at=NOW), record("B", at=NOW, line="line-2"))
    answer = call("GET", "/changes", "viewer", query={"line": "line-2"})
    assert [item["serial"] for item in answer.body["items"]] == ["B"]


def test_the_feed_of_a_new_stack_is_empty_and_has_a_cursor(stage: Stage) -> None:
    answer = call("GET", "/changes", "viewer")
    assert answer.body["items"] == []
    assert call("GET", "/changes", "viewer", query={"after": answer.body["next"]}).status == 200


def test_a_cursor_of_another_feed_is_refused(stage: Stage) -> None:
    cursor = call("GET", "/changes", "viewer", query={"line": "line-1"}).body["next"]
    for query in ({"after": cursor}, {"after": "x"}, {"after": cursor[:-4], "line": "line-1"}):
        answer = call("GET", "/changes", "viewer", query=query)
        assert (answer.status, answer.code) == (400, "invalid_cursor")


@pytest.mark.parametrize("path", ["/statistics", "/places", "/changes"])
def test_who_is_in_no_group_learns_nothing(path: str) -> None:
    assert call("GET", path).status == 403


@pytest.mark.parametrize("limit", ["0", "501", "x"])
def test_a_limit_out_of_bounds_is_refused(limit: str) -> None:
    assert call("GET", "/changes", "viewer", query={"limit": limit}).status == 400

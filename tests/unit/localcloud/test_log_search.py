"""CloudWatch Logs of the local cloud: filter patterns, and FilterLogEvents as clients page through it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ministack.services import cloudwatch_logs

from localcloud.ministack import log_search
from localcloud.ministack.log_patterns import PatternError, compile_pattern

RECORD = json.dumps(
    {
        "level": "WARNING",
        "line": "line-1",
        "ms": 41.5,
        "ok": False,
        "error": None,
        "found": [{"label": "patches"}, {"label": "crazing"}],
        "a.b": 1,
    }
)


@pytest.mark.parametrize(
    ("pattern", "message", "matches"),
    [
        ("", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ("ERROR line", "line 4: ERROR", True),
        ('"ERROR line"', "line 4: ERROR", False),
        (r'"say \"no\""', 'they say "no" now', True),
        ("?ERROR ?WARN", "WARN", True),
        ("?ERROR ?WARN", "INFO", False),
        ("ERROR -disk", "ERROR on the disk", False),
        ("ERROR -disk", "ERROR on the line", True),
        ("%ERR(OR)?%", "ERR 4", True),
        ('{ $.level = "WARNING" }', RECORD, True),
        ('{ $.level = "warning" }', RECORD, False),
        ("{ $.level = WARN* }", RECORD, True),
        ("{ $.level != WARN* }", RECORD, False),
        ("{ $.level != INFO }", RECORD, True),
        ("{ $.nothing != INFO }", RECORD, False),
        ("{ $.ms > 41 }", RECORD, True),
        ("{ $.ms >= 42 }", RECORD, False),
        ("{ $.ok IS FALSE }", RECORD, True),
        ("{ $.error IS NULL }", RECORD, True),
        ("{ $.nothing IS NULL }", RECORD, False),
        ("{ $.nothing NOT EXISTS }", RECORD, True),
        ("{ $.error NOT EXISTS }", RECORD, False),
        ("{ $.found[1].label = crazing }", RECORD, True),
        ("{ $.found[0].label = crazing }", RECORD, False),
        ("{ $.found[*].label = crazing }", RECORD, True),
        ("{ $.['a.b'] = 1 }", RECORD, True),
        ("{ $.line = %line-[0-9]% }", RECORD, True),
        ("{ $.ms < 1 || ($.ok IS FALSE && $.line = line-1) }", RECORD, True),
        ("{ ($.ms < 1 || $.ok IS FALSE) && $.line = line-2 }", RECORD, False),
        ("{ $.level = WARNING }", "no JSON: WARNING", False),
        ("{ $.level = WARNING }", '["WARNING"]', False),
    ],
)
def test_a_pattern_matches_as_cloudwatch_says(pattern: str, message: str, matches: bool):
    assert compile_pattern(pattern)(message) is matches


@pytest.mark.parametrize(
    "pattern",
    [
        "{ $.level = WARNING",
        "{ level = WARNING }",
        "{ $.level }",
        "{ $.level = }",
        "{ $.level > high }",
        "{ ($.level = WARNING }",
        "{ $.level = A $.level = B }",
        "{ $.level IS LATE }",
        "[host, size > 1000]",
        '"never closed',
        "%(%",
    ],
)
def test_what_is_not_a_pattern_is_refused_and_not_taken_for_everything(pattern: str):
    with pytest.raises(PatternError):
        compile_pattern(pattern)


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> str:
    """A log group as MiniStack keeps it: the events of functions have no identity."""
    streams = {
        name: {"events": [{"timestamp": at, "message": f"{name} {at}", "ingestionTime": at} for at in times]}
        for name, times in {"first": (1, 4), "second": (2, 3), "other": (5,)}.items()
    }
    monkeypatch.setattr(cloudwatch_logs, "_log_groups", {"/group": {"streams": streams}})
    return "/group"


def answer(**request: Any) -> tuple[int, dict[str, Any]]:
    status, _, body = log_search._filter_log_events(request)
    return status, json.loads(body)


def messages(**request: Any) -> list[str]:
    return [event["message"] for event in answer(**request)[1]["events"]]


def test_the_events_of_all_streams_come_in_the_order_of_their_times(group: str):
    assert messages(logGroupName=group) == ["first 1", "second 2", "second 3", "first 4", "other 5"]


def test_only_the_chosen_streams_and_times_are_searched(group: str):
    assert messages(logGroupName=group, logStreamNamePrefix="o") == ["other 5"]
    assert messages(logGroupName=group, logStreamNames=["second"], startTime=3) == ["second 3"]
    assert messages(logGroupName=group, endTime=2) == ["first 1", "second 2"]
    status, refused = answer(logGroupName=group, logStreamNamePrefix="o", logStreamNames=["second"])
    assert (status, refused["__type"]) == (400, "InvalidParameterException")


def test_a_limit_ends_a_page_and_not_the_answer(group: str):
    seen, token = [], {}
    while True:
        page = answer(logGroupName=group, limit=2, filterPattern="-other", **token)[1]
        seen += [event["message"] for event in page["events"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert seen == ["first 1", "second 2", "second 3", "first 4"]


def test_an_event_has_the_same_identity_whenever_it_is_asked_for(group: str):
    first, second = (answer(logGroupName=group)[1]["events"] for _ in range(2))
    identities = [event["eventId"] for event in first]
    assert len(set(identities)) == 5
    assert [event["eventId"] for event in second] == identities


def test_a_group_that_is_not_there_and_a_bad_pattern_are_refused_with_the_codes_of_aws(group: str):
    status, refused = answer(logGroupName="/nothing")
    assert (status, refused["__type"]) == (400, "ResourceNotFoundException")
    status, refused = answer(logGroupName=group, filterPattern="{ $.level = }")
    assert (status, refused["__type"]) == (400, "InvalidParameterException")
    assert "it ends too early" in refused["message"]

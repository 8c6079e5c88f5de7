"""Health: whether the stack inspects, and what is wrong if it does not."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, NotRequired, TypeVar

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from botocore.exceptions import BotoCoreError, ClientError
from typing_extensions import TypedDict

from api import aws, settings
from api.access import Group, allow
from api.inspections import Model
from contract.alarms import belongs, prefix, short_name
from contract.inspections import timestamp
from contract.text import plain
from inspection.errors import NotReadyError
from inspection.resting import shifts_of
from inspection.rules_parameter import RulesParameter
from tracking.counters import INSPECTED, Counts
from tracking.feed import Feed
from tracking.places import Places
from tracking.spans import By, Span
from tracking.statistics import Statistics

router = APIGatewayHttpRouter()
MISSING = "Missing"  # an endpoint that nobody has deployed yet
_THREADS = 4
_NEWEST = 20  # no model has seen a picture that cannot be read
_Part = TypeVar("_Part")
_logger = Logger()


class Endpoint(TypedDict):
    """The endpoint. status: SageMaker's, or Missing. model: the one that judged last. rests_until: the next shift."""

    name: str
    status: str
    model: Model | None
    since: NotRequired[str]
    rests_until: NotRequired[str]


class LastHour(TypedDict):
    """What was inspected since the beginning of the hour before this one."""

    since: str
    inspected: int
    fail: int
    review: int


class Line(TypedDict):
    """A line. last_seen: to the minute."""

    line: str
    last_seen: str
    last_hour: LastHour


class Alarm(TypedDict):
    """An alarm. description: what it means and what to do. state: OK, ALARM or INSUFFICIENT_DATA."""

    name: str
    description: str
    state: str
    reason: str
    since: str


class Health(TypedDict):
    """The state of the stack. problems: what could not be found out, or is wrong with the rules."""

    endpoint: Endpoint | None
    lines: list[Line]
    alarms: list[Alarm]
    rules_version: str | None
    problems: list[str]


@router.get("/health", summary="Show whether the stack works")
@allow(Group.VIEWER)
def show() -> Health:
    """Return the state of the endpoint, the lines, the alarms and the rules.

    What cannot be found out is named in `problems`, and the rest is answered all the same.
    """
    problems: list[str] = []
    # boto3 makes clients in one thread at a time.
    for client in (aws.cloudwatch, aws.dynamodb, aws.sagemaker, aws.ssm):
        client()
    with ThreadPoolExecutor(_THREADS) as pool:
        endpoint = pool.submit(_part, _endpoint, None, "The endpoint's state cannot be read.", problems)
        lines = pool.submit(_part, _lines, [], "The lines cannot be read.", problems)
        alarms = pool.submit(_part, _alarms, [], "The alarms cannot be read.", problems)
        rules = pool.submit(_part, functools.partial(_rules, problems), None, "", problems)
    return {
        "endpoint": endpoint.result(),
        "lines": lines.result(),
        "alarms": alarms.result(),
        "rules_version": rules.result(),
        "problems": problems,
    }


def _part(read: Callable[[], _Part], otherwise: _Part, problem: str, problems: list[str]) -> _Part:
    """Return what `read` returns. One service that does not answer must not hide the others."""
    try:
        return read()
    except (ClientError, BotoCoreError):
        _logger.warning(problem, exc_info=True)
        problems.append(problem)
        return otherwise


def _endpoint() -> Endpoint:
    stack = settings.Stack.read()
    name = stack.endpoint_name
    try:
        description = aws.sagemaker().describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        missing: Endpoint = {"name": name, "status": MISSING, "model": None}
        shifts = shifts_of(stack.endpoint_hours, stack.endpoint_timezone)
        now = datetime.now(UTC)
        if shifts and not shifts.is_open(now):
            missing["rests_until"] = timestamp(shifts.opens_at(now).astimezone(UTC))
        return missing
    since = description.get("LastModifiedTime") or description["CreationTime"]
    return {
        "name": name,
        "status": description["EndpointStatus"],
        "model": _newest_model(),
        "since": timestamp(since),
    }


def _newest_model() -> Any:
    table = settings.Statistics.read().statistics_table
    items, _ = Feed(aws.dynamodb(), table).newest(Places(aws.dynamodb(), table).lines(), _NEWEST)
    return next((item["model"] for item in reversed(items) if item.get("model")), None)


def _lines() -> list[Line]:
    table = settings.Statistics.read().statistics_table
    last_seen: dict[str, str] = defaultdict(str)
    for place in Places(aws.dynamodb(), table).read():
        last_seen[place["line"]] = max(last_seen[place["line"]], place["last_seen"])
    now = datetime.now(UTC)
    span = Span.around(now - timedelta(hours=1), now, By.HOUR)
    counted: dict[str, Counts] = defaultdict(Counts)
    for cell, counts in Statistics(aws.dynamodb(), table).counts(span):
        counted[cell.line].update(counts)
    return [
        {
            "line": line,
            "last_seen": seen,
            "last_hour": {
                "since": timestamp(span.since),
                "inspected": counted[line][INSPECTED],
                "fail": counted[line]["fail"],
                "review": counted[line]["review"],
            },
        }
        for line, seen in last_seen.items()
    ]


def _alarms() -> list[Alarm]:
    stack = settings.Stack.read().stack_name
    pages = aws.cloudwatch().get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix(stack))
    found: list[Alarm] = [
        {
            "name": short_name(alarm["AlarmName"], stack),
            "description": plain(alarm.get("AlarmDescription", "")),
            "state": alarm["StateValue"],
            "reason": plain(alarm.get("StateReason", "")),
            "since": timestamp(alarm["StateUpdatedTimestamp"]),
        }
        for page in pages
        for alarm in page["MetricAlarms"]
        if belongs(alarm["AlarmName"], stack)
    ]
    return sorted(found, key=lambda alarm: alarm["name"])


def _rules(problems: list[str]) -> str | None:
    try:
        return _parameter().current().version
    except NotReadyError as error:
        problems.append(f"No image is inspected: {plain(str(error))}.")
        return None


@functools.cache
def _parameter() -> RulesParameter:
    environment = settings.Rules.read()
    return RulesParameter(aws.ssm(), environment.rules_parameter, environment.rules_cache_seconds)

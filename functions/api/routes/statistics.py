"""Statistics: how much was inspected, and what was found, over time, by place, model and class."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, cast

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from typing_extensions import TypedDict

from api import aws
from api.access import Group, allow
from api.errors import invalid_request
from api.settings import Statistics as Settings
from api.times import LONGEST, parse_time
from tracking.beginning import Beginning
from tracking.report import report
from tracking.spans import By, Span, SpanError
from tracking.statistics import Statistics, Wanted

router = APIGatewayHttpRouter()

_Time = Annotated[str | None, Query(max_length=LONGEST)]
_Name = Annotated[str | None, Query(min_length=1, max_length=1024)]
_Totals = TypedDict(
    "_Totals",
    {
        "inspected": int,
        "pass": int,
        "review": int,
        "fail": int,
        "unreadable": int,
        "defects": dict[str, int],
        "doubts": dict[str, int],
    },
)


class Bucket(_Totals):
    """An hour or a day."""

    start: str


class Station(_Totals):
    """A station of a line."""

    line: str
    station: str


class Model(_Totals):
    """A version of the model."""

    version: str


class Control(TypedDict):
    """The control chart of the share of failed images: three sigma about the mean, for each bucket."""

    centre: float | None
    lower: list[float | None]
    upper: list[float | None]


class StatisticsReport(TypedDict):
    """The statistics of a time span, in whole hours or days of UTC."""

    since: str
    until: str
    by: str
    counted_since: str | None
    buckets: list[Bucket]
    totals: _Totals
    lines: list[Station]
    models: list[Model]
    control: Control


@router.get("/statistics", summary="Count inspections and what was found")
@allow(Group.VIEWER)
def show(
    since: _Time = None,
    until: _Time = None,
    by: Annotated[By | None, Query()] = None,
    line: _Name = None,
    station: _Name = None,
    model: _Name = None,
) -> StatisticsReport:
    """Return the counts of the buckets that the time span touches: by default the last 7 days, by the day.

    At most 14 days by the hour, or 400 by the day. Records from before `counted_since` are not counted.
    """
    now = datetime.now(UTC)
    try:
        span = Span.around(parse_time(since or "7d", now), parse_time(until or "0s", now), by)
    except SpanError as error:
        raise invalid_request(str(error)) from None
    client, table = aws.dynamodb(), Settings.read().statistics_table
    counts = Statistics(client, table).counts(span, Wanted(line, station, model))
    answer = {"counted_since": Beginning(client, table).read(), **report(span, counts)}
    return cast(StatisticsReport, answer)

"""Escape and overkill rate, as people's decisions show them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, cast

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from typing_extensions import TypedDict

from api import aws
from api.access import Group, allow
from api.errors import invalid_request
from api.reviews import queue
from api.settings import Statistics as Settings
from api.times import LONGEST, parse_time
from contract.inspections import timestamp
from review import rates
from tracking.spans import Span, SpanError
from tracking.statistics import Statistics, Wanted

router = APIGatewayHttpRouter()

_Time = Annotated[str | None, Query(max_length=LONGEST)]
_Name = Annotated[str | None, Query(min_length=1, max_length=1024)]


class Rate(TypedDict):
    """A rate with its 95 % interval. wrong, reviewed, of: images that were wrong, decided about, and all of them.

    Without a value, `reason` says what is missing.
    """

    value: float | None
    low: float | None
    high: float | None
    wrong: int
    reviewed: int
    of: int
    reason: str | None


class _Both(TypedDict):
    escape: Rate
    overkill: Rate


class LineRates(_Both):
    """The rates of a line."""

    line: str


class LabelRates(_Both):
    """The rates of a class of defect."""

    label: str


class ModelRates(_Both):
    """The rates of a version of the model."""

    version: str


class Rates(_Both):
    """The rates of a time span. decided: images that people have decided about."""

    since: str
    until: str
    by_line: list[LineRates]
    by_label: list[LabelRates]
    by_model: list[ModelRates]
    decided: int
    disagreements: int


@router.get("/statistics/rates", summary="Measure escape and overkill rate")
@allow(Group.VIEWER)
def show(
    since: _Time = None,
    until: _Time = None,
    line: _Name = None,
    label: _Name = None,
    model: _Name = None,
) -> Rates:
    """Return the rates of the images that were received in a time span: by default the last 30 days.

    Each verdict counts with the share of it that people have seen. Docs: docs/review.md.
    """
    now = datetime.now(UTC)
    try:
        span = Span.around(parse_time(since or "30d", now), parse_time(until or "0s", now))
    except SpanError as error:
        raise invalid_request(str(error)) from None
    cells = Statistics(aws.dynamodb(), Settings.read().statistics_table).counts(
        span, Wanted(line=line, model=model)
    )
    first, last = timestamp(span.since), timestamp(span.until)
    answer: dict[str, Any] = {
        "since": first,
        "until": last,
        **rates.rates(cells, label),
        "disagreements": queue().count_disagreements(first, last, line),
    }
    return cast(Rates, answer)

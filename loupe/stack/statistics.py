"""The statistics of a stack: what was inspected and found."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, TypedDict

from contract.inspections import timestamp
from loupe.stack import api
from loupe.stack.target import Target

_Z95 = 1.959964  # the 97.5 % quantile of the normal distribution

Totals = dict[str, Any]


class Report(TypedDict):
    """The API's answer to `GET /statistics`."""

    since: str
    until: str
    by: str
    counted_since: str | None
    buckets: list[Totals]
    totals: Totals
    lines: list[Totals]
    models: list[Totals]
    control: dict[str, Any]


def read(
    target: Target,
    since: datetime,
    until: datetime,
    by: str | None,
    line: str | None,
    station: str | None,
    model: str | None,
) -> Report:
    """Return the statistics of a time span.

    Args:
        target: The stack.
        since: Its start.
        until: Its end.
        by: `hour` or `day`; None for what fits the length.
        line: None for all lines.
        station: None for all stations.
        model: The version of the model; None for all.
    """
    query = {"by": by, "line": line, "station": station, "model": model}
    span = {"since": timestamp(since), "until": timestamp(until)}
    report: Report = api.call(target, "GET", "/statistics", {**span, **query})
    return report


def interval(number: int, total: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share, by Wilson's score: it also holds for few images and rare defects.

    https://www.itl.nist.gov/div898/handbook/prc/section2/prc241.htm

    Args:
        number: How many have the property.
        total: Of how many.

    >>> [round(bound, 3) for bound in interval(1, 10)], interval(0, 0)
    ([0.018, 0.404], (0.0, 1.0))
    """
    if not total:
        return 0.0, 1.0
    share, square = number / total, _Z95**2
    centre = (share + square / (2 * total)) / (1 + square / total)
    half = _Z95 * math.sqrt(share * (1 - share) / total + square / (4 * total**2)) / (1 + square / total)
    return max(0.0, centre - half), min(1.0, centre + half)

"""The statistics as people see them: totals, buckets of time, lines, models, and the control chart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from contract.inspections import Verdict
from tracking.cells import Cell
from tracking.counters import DEFECT, DOUBT, INSPECTED, Counts
from tracking.spans import By, Span

Report = dict[str, Any]
_SIGMAS = 3


def report(span: Span, cells: Iterable[tuple[Cell, Counts]]) -> Report:
    """Return the statistics of a span.

    Args:
        span: The time.
        cells: The counters, as `Statistics.counts` returns them.
    """
    found = list(cells)
    by_start = _grouped(found, lambda cell: (cell.hour,))
    buckets = [
        {"start": _start(start, span.by), **totals(by_start.get((start,), Counts()))}
        for start in span.starts()
    ]
    return {
        "since": f"{span.since:%Y-%m-%dT%H:%M:%SZ}",
        "until": f"{span.until:%Y-%m-%dT%H:%M:%SZ}",
        "by": span.by.value,
        "buckets": buckets,
        "totals": totals(_grouped(found, lambda _: ()).get((), Counts())),
        "lines": [
            {"line": line, "station": station, **totals(counts)}
            for (line, station), counts in sorted(
                _grouped(found, lambda cell: (cell.line, cell.station)).items()
            )
        ],
        "models": [
            {"version": version, **totals(counts)}
            for (version,), counts in sorted(_grouped(found, lambda cell: (cell.model,)).items())
            if version
        ],
        "control": control(buckets),
    }


def totals(counts: Counts) -> dict[str, Any]:
    """Return counters under the names of the API."""
    return {
        INSPECTED: counts[INSPECTED],
        **{verdict.value: counts[verdict] for verdict in Verdict},
        "defects": _by_label(counts, DEFECT),
        "doubts": _by_label(counts, DOUBT),
    }


def control(buckets: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the p-chart of the defect rate: its centre line, and the limits of each bucket at three sigma.

    A rate outside its limits is rarely chance. https://www.itl.nist.gov/div898/handbook/pmc/section3/pmc332.htm

    >>> chart = control([{"inspected": 100, "fail": 10}, {"inspected": 0, "fail": 0}])
    >>> chart["centre"], [round(limit, 2) if limit else limit for limit in chart["upper"]], chart["lower"]
    (0.1, [0.19, None], [0.01, None])
    """
    inspected = sum(bucket[INSPECTED] for bucket in buckets)
    centre = sum(bucket[Verdict.FAIL] for bucket in buckets) / inspected if inspected else None
    widths = [
        None
        if centre is None or not bucket[INSPECTED]
        else _SIGMAS * math.sqrt(centre * (1 - centre) / bucket[INSPECTED])
        for bucket in buckets
    ]
    return {
        "centre": centre,
        "lower": [None if width is None or centre is None else _rate(centre - width) for width in widths],
        "upper": [None if width is None or centre is None else _rate(centre + width) for width in widths],
    }


def _rate(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 6)


def _grouped(
    cells: Iterable[tuple[Cell, Counts]], key: Callable[[Cell], tuple[str, ...]]
) -> dict[tuple[str, ...], Counts]:
    groups: dict[tuple[str, ...], Counts] = {}
    for cell, counts in cells:
        groups.setdefault(key(cell), Counts()).update(counts)
    return groups


def _by_label(counts: Counts, prefix: str) -> dict[str, int]:
    """Return the counts by class, the most frequent first. A count that has moved away is 0, and left out."""
    found = {name.removeprefix(prefix): number for name, number in counts.items() if name.startswith(prefix)}
    return {
        label: found[label]
        for label in sorted(found, key=lambda label: (-found[label], label))
        if found[label]
    }


def _start(start: str, by: By) -> str:
    return f"{start}:00:00Z" if by is By.HOUR else f"{start}T00:00:00Z"

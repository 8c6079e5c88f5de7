"""What a run of the local cloud has shown: when each image came and was judged, and how long each part took."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmarks.simulation.chain import Image


@dataclass(frozen=True, slots=True)
class Seen:
    """An image of a run. Times are seconds since the epoch.

    Attributes:
        batch: The invocation that has inspected it.
        arrived: When it was uploaded.
        started: When its inspection began.
        recorded: When it was judged.
        alerted: When its alert was sent; None if it raised none.
        before: Seconds of its inspection before a worker of the endpoint got it.
        model: At the worker.
        after: After that.
    """

    batch: str
    arrived: float
    started: float
    recorded: float
    alerted: float | None
    before: float
    model: float
    after: float

    @classmethod
    def of(cls, record: dict[str, Any]) -> Seen:
        """Return what a record says. Waiting for a worker is left out: the simulation finds out itself."""
        spent = {name: float(value) / 1000 for name, value in record["timings_ms"].items()}
        arrived = _seconds(record["received_at"])
        waited = spent.get("model_queue", 0.0) + spent.get("model_wait", 0.0)
        model = spent["model_total"] - waited
        around = max(0.0, spent["endpoint"] - spent["model_total"])
        before = spent["read"] + around / 2
        alert = record.get("alert") or {}
        return cls(
            batch=record.get("trace", record["id"]),
            arrived=arrived,
            started=arrived + spent["queued"],
            recorded=_seconds(record["inspected_at"]),
            alerted=_seconds(alert["sent_at"]) if alert else None,
            before=before,
            model=model,
            after=max(0.0, spent["total"] - before - model - waited),
        )

    def image(self, since: float) -> Image:
        """Return it for the simulation, with its arrival since a time."""
        return Image(self.arrived - since, self.before, self.model, self.after, self.alerted is not None)


@dataclass(frozen=True, slots=True)
class Batch:
    """An invocation of the function.

    Attributes:
        images: How many images it inspected.
        started: When the first of them began.
        ended: When the last of them was judged.
    """

    images: int
    started: float
    ended: float


def batches(seen: Sequence[Seen]) -> list[Batch]:
    """Return the batches of some images, by their start."""
    groups: dict[str, list[Seen]] = {}
    for one in seen:
        groups.setdefault(one.batch, []).append(one)
    found = [
        Batch(len(group), min(one.started for one in group), max(one.recorded for one in group))
        for group in groups.values()
    ]
    return sorted(found, key=lambda batch: batch.started)


def pickup_seconds(seen: Sequence[Seen]) -> float:
    """Return the seconds from an upload until an idle chain begins with it: the median of images that came alone."""
    return statistics.median(one.started - one.arrived for one in seen)


def gap_seconds(seen: Sequence[Seen]) -> float:
    """Return the mean seconds between two batches of the same place, while others wait.

    Each end is followed by the next start that no earlier end has taken.
    """
    found = batches(seen)
    starts = [batch.started for batch in found]
    gaps, after = [], 0
    for end in sorted(batch.ended for batch in found):
        while after < len(starts) and starts[after] < end:
            after += 1
        if after == len(starts):
            break
        gaps.append(starts[after] - end)
        after += 1
    return statistics.fmean(gaps) if gaps else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile, such as 0.95 for the 95th.

    >>> percentile([3.0, 1.0, 2.0], 0.5)
    2.0
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()

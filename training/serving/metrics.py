"""The endpoint's metrics, as one log line at regular intervals.

The line is in CloudWatch's embedded metric format: CloudWatch Logs turns it into metrics (namespace Loupe/Endpoint,
dimension Model) without an API call. It contains counts and times, never an image.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
PutLogEvents needs no header for it, so it does not matter that SageMaker's own agent sends the lines. Still, no alarm
and no scaling depends on these metrics:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Generation_PutLogEvents.html
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

from training.serving.refusals import LATER

NAMESPACE = "Loupe/Endpoint"
_MAX_VALUES = 100  # of one metric in one line, by the format's specification
_UNITS = {
    "Requests": "Count",
    "Judged": "Count",
    "Refused": "Count",
    "Busy": "Count",
    "Failed": "Count",
    "QueueDepth": "Count",
    "BatchSize": "Count",
    "Duration": "Milliseconds",
}


class Metrics:
    """Counts answers until they are reported. Not safe to share between threads: only the event loop uses it."""

    def __init__(self, model: str, version: str) -> None:
        self._model, self._version = model, version
        self._began = time.monotonic()
        self._clear()

    def _clear(self) -> None:
        self._statuses: Counter[int] = Counter()
        self._errors: Counter[str] = Counter()
        self._batches: Counter[int] = Counter()
        self._durations: list[float] = []
        self._answered = 0
        self._depth = 0

    def queued(self, depth: int) -> None:
        """Record how many requests are inside the endpoint at this moment."""
        self._depth = max(self._depth, depth)

    def answered(self, milliseconds: float, batch_size: int) -> None:
        """Count an image that was answered."""
        self._statuses[200] += 1
        self._batches[batch_size] += 1
        self._answered += 1
        # Reservoir sampling: every duration has the same chance to be among those reported.
        if len(self._durations) < _MAX_VALUES:
            self._durations.append(milliseconds)
        elif (index := random.randrange(self._answered)) < _MAX_VALUES:  # noqa: S311 - not a secret
            self._durations[index] = milliseconds

    def refused(self, status: int, code: str) -> None:
        """Count a request that got an error."""
        self._statuses[status] += 1
        self._errors[code] += 1

    def line(self) -> dict[str, Any] | None:
        """Return the line about everything since the last one, and start again; None if there was no request."""
        requests = sum(self._statuses.values())
        if not requests:
            return None
        values: dict[str, Any] = {
            "Requests": requests,
            "Judged": self._answered,
            "Refused": sum(
                count
                for status, count in self._statuses.items()
                if 400 <= status < 500 and status not in LATER
            ),
            "Busy": sum(self._statuses[status] for status in LATER),
            "Failed": self._statuses[500],
            "QueueDepth": self._depth,
        }
        if self._answered:
            values["BatchSize"] = round(
                sum(size * count for size, count in self._batches.items()) / self._answered, 2
            )
            values["Duration"] = [round(duration, 2) for duration in self._durations]
        line = {
            "_aws": {
                "Timestamp": int(time.time() * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [["Model"]],
                        "Metrics": [{"Name": name, "Unit": _UNITS[name]} for name in values],
                    }
                ],
            },
            "Model": self._model,
            "version": self._version,
            "seconds": round(time.monotonic() - self._began, 1),
            **values,
            "errors": dict(self._errors),
            "batch_sizes": {str(size): count for size, count in sorted(self._batches.items())},
        }
        self._began = time.monotonic()
        self._clear()
        return line

"""What the endpoint has done, as one log line every so often.

The line is in CloudWatch's embedded metric format, so that CloudWatch Logs makes metrics of it (namespace
Loupe/Endpoint, dimension Model) and no call of an API is needed. It holds counts and times, never an image.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

NAMESPACE = "Loupe/Endpoint"
_MOST_VALUES = 100  # of one metric in one line, by the format's specification
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
    """Counts answers, and forgets them once they are reported. For one thread: the event loop's."""

    def __init__(self, model: str, version: str) -> None:
        self._model, self._version = model, version
        self._began = time.monotonic()
        self._clear()

    def _clear(self) -> None:
        self._statuses: Counter[int] = Counter()
        self._errors: Counter[str] = Counter()
        self._batches: Counter[int] = Counter()
        self._durations: list[float] = []
        self._judged = 0
        self._depth = 0

    def queued(self, depth: int) -> None:
        """So many requests are in the endpoint at this moment."""
        self._depth = max(self._depth, depth)

    def answered(self, milliseconds: float, batch_size: int) -> None:
        """An image was judged."""
        self._statuses[200] += 1
        self._batches[batch_size] += 1
        self._judged += 1
        # A reservoir: every duration has the same chance to be among those reported.
        if len(self._durations) < _MOST_VALUES:
            self._durations.append(milliseconds)
        elif (place := random.randrange(self._judged)) < _MOST_VALUES:  # noqa: S311 - no secret
            self._durations[place] = milliseconds

    def refused(self, status: int, code: str) -> None:
        """A request got an error."""
        self._statuses[status] += 1
        self._errors[code] += 1

    def line(self) -> dict[str, Any] | None:
        """The line about everything since the last one; None if there was nothing."""
        requests = sum(self._statuses.values())
        if not requests:
            return None
        values: dict[str, Any] = {
            "Requests": requests,
            "Judged": self._judged,
            "Refused": sum(count for status, count in self._statuses.items() if 400 <= status < 500),
            "Busy": self._statuses[503],
            "Failed": self._statuses[500],
            "QueueDepth": self._depth,
        }
        if self._judged:
            values["BatchSize"] = round(
                sum(size * count for size, count in self._batches.items()) / self._judged, 2
            )
            values["Duration"] = [round(each, 2) for each in self._durations]
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

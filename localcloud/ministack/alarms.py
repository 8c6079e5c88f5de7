"""Makes MiniStack evaluate an alarm by the metric with the alarm's own dimensions."""

import threading
from typing import Any

from ministack.core.responses import AccountRegionScopedDict
from ministack.services import cloudwatch

from localcloud.ministack import stores

# The dimensions that the next read in this thread is restricted to.
_evaluation = threading.local()


class _Metrics(AccountRegionScopedDict):  # type: ignore[misc]
    """The metrics; the read of an evaluation gets those with the alarm's dimensions only.

    The restriction belongs to one thread and ends with the read: what other threads read at the same time, and what
    this thread reads next (for the alarm's actions), is complete.
    """

    def items(self) -> Any:
        dimensions = getattr(_evaluation, "dimensions", None)
        _evaluation.dimensions = None
        metrics = super().items()
        if dimensions is None:
            return metrics
        # A key is the namespace, the name and the dimensions.
        return [(key, points) for key, points in metrics if key[2] == dimensions]


def evaluate_by_dimensions() -> None:
    """Patch MiniStack, which evaluates an alarm by all metrics of that name, of any queue or endpoint."""
    stores.replace(cloudwatch, "_metrics", _Metrics)
    evaluate = cloudwatch._evaluate_alarm

    def evaluate_by_own_dimensions(alarm: dict[str, Any]) -> None:
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions") or []}
        _evaluation.dimensions = cloudwatch._dims_key(dimensions)
        try:
            evaluate(alarm)
        finally:
            _evaluation.dimensions = None

    cloudwatch._evaluate_alarm = evaluate_by_own_dimensions

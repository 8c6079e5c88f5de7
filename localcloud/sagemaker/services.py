"""What SageMaker uses of the account's other services, besides what its roles may call."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

# Records a data point in CloudWatch: namespace, name, value, unit, dimensions.
RecordMetric = Callable[[str, str, float, str, dict[str, str]], None]
# Returns the bytes of a layer in ECR, by repository and digest; None if there is none.
ReadLayer = Callable[[str, str], bytes | None]


class Alarms(Protocol):
    """The account's CloudWatch alarms."""

    def put(self, alarm: dict[str, Any]) -> None:
        """Create or replace an alarm, as PutMetricAlarm does."""

    def delete(self, names: list[str]) -> None:
        """Delete alarms; those that do not exist are skipped."""


@dataclass(frozen=True)
class Services:
    """The account's other services.

    Attributes:
        record_metric: Records a data point in CloudWatch.
        alarms: The CloudWatch alarms.
        read_layer: Reads a layer in ECR.
    """

    record_metric: RecordMetric
    alarms: Alarms
    read_layer: ReadLayer

"""Puts the alarms of Application Auto Scaling, which MiniStack does not have, into its CloudWatch."""

from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from localcloud.ministack.environment import ACCOUNT, REGION


class ScalingAlarms:
    """Creates and deletes alarms of the local account, as the service-linked role does on AWS."""

    def put(self, alarm: dict[str, Any]) -> None:
        """Create or replace an alarm, as PutMetricAlarm does."""
        with request_scope(ACCOUNT, REGION):
            cloudwatch._put_metric_alarm({}, alarm, True)

    def delete(self, names: list[str]) -> None:
        """Delete alarms; those that do not exist are skipped."""
        with request_scope(ACCOUNT, REGION):
            cloudwatch._delete_alarms({}, {"AlarmNames": names}, True)

"""Replaces MiniStack's evaluation of alarms: their own metric, missing data, and CloudWatch's messages.

MiniStack evaluates an alarm by all metrics of that name, of any queue or endpoint, and leaves it as it is while there
is no data, so that an alarm never ends. As there, the data of all evaluation periods is looked at together, because a
laptop's user does not wait five minutes for an alarm; only where the alarm sets DatapointsToAlarm, each period counts.
"""

import json
import logging
import operator
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch, sns

from localcloud.ministack import encrypted_topics

logger = logging.getLogger(__name__)

_SERVICE = "cloudwatch.amazonaws.com"

_COMPARISONS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "GreaterThanOrEqualToThreshold": ("greater than or equal to", operator.ge),
    "GreaterThanThreshold": ("greater than", operator.gt),
    "LessThanThreshold": ("less than", operator.lt),
    "LessThanOrEqualToThreshold": ("less than or equal to", operator.le),
}
# TreatMissingData -> the state without data, and what CloudWatch calls it. With "ignore" the state stays.
_WITHOUT_DATA = {
    "breaching": ("ALARM", "Breaching"),
    "missing": ("INSUFFICIENT_DATA", "Missing"),
    "notBreaching": ("OK", "NonBreaching"),
}
_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


class _Result(NamedTuple):
    """The state that an alarm should have, and why."""

    state: str
    reason: str


def apply() -> None:
    """Patch MiniStack."""
    cloudwatch._evaluate_alarm = evaluate


def evaluate(alarm: dict[str, Any]) -> None:
    """Give an alarm the state that its metric asks for; a change is recorded and notified."""
    result = _result(alarm)
    previous = alarm["StateValue"]
    if result is None or result.state == previous:
        return
    alarm.update(StateValue=result.state, StateReason=result.reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], previous, result.state, result.reason)
    _notify(alarm, previous)
    cloudwatch._evaluate_parent_alarms(alarm)


def _result(alarm: dict[str, Any]) -> _Result | None:
    """Return the state of an alarm on one metric; None for another alarm, or if the state stays."""
    comparison = _COMPARISONS.get(alarm.get("ComparisonOperator", ""))
    if not alarm.get("MetricName") or comparison is None:
        return None
    points = _points(alarm)
    value = _value(alarm, points)
    if value is None:
        return _result_without_data(alarm)
    words, compare = comparison
    limit = float(alarm.get("Threshold", 0))
    if (required := int(alarm.get("DatapointsToAlarm") or 1)) > 1:
        return _result_of_periods(alarm, points, required)
    is_crossed = compare(value, limit)
    at = datetime.fromtimestamp(points[-1]["Timestamp"], UTC).strftime("%d/%m/%y %H:%M:%S")
    verb = "was" if is_crossed else "was not"
    reason = f"Threshold Crossed: 1 datapoint [{float(value)} ({at})] {verb} {words} the threshold ({limit})."
    return _Result("ALARM" if is_crossed else "OK", reason)


def _value(alarm: dict[str, Any], points: list[dict[str, Any]]) -> float | None:
    """Return the alarm's statistic of some points; None without points."""
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic", "Average")
    value = cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points) if points else None
    return None if value is None else float(value)


def _result_of_periods(alarm: dict[str, Any], points: list[dict[str, Any]], required: int) -> _Result:
    """Return the state of an "M out of N" alarm: it needs M periods that cross the threshold.

    CloudWatch user guide, "Evaluating an alarm".
    """
    words, compare = _COMPARISONS[alarm["ComparisonOperator"]]
    limit, period = float(alarm.get("Threshold", 0)), int(alarm.get("Period", 60))
    periods: dict[int, list[dict[str, Any]]] = {}
    for point in points:
        periods.setdefault(int(point["Timestamp"]) // period, []).append(point)
    count = int(alarm.get("EvaluationPeriods", 1))
    last = sorted(periods)[-count:]
    values = [value for number in last if (value := _value(alarm, periods[number])) is not None]
    crossed = [value for value in values if compare(value, limit)]
    reason = (
        f"Threshold Crossed: {len(crossed)} out of the last {count} datapoints {values} "
        f"were {words} the threshold ({limit}) (minimum {required} datapoints for OK -> ALARM transition)."
    )
    return _Result("ALARM" if len(crossed) >= required else "OK", reason)


def _points(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the data of all evaluation periods, of the metric with exactly the alarm's dimensions."""
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions") or []}
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    begin = time.time() - int(alarm.get("Period", 60)) * int(alarm.get("EvaluationPeriods", 1))
    return [point for point in list(cloudwatch._metrics.get(key) or ()) if point["Timestamp"] >= begin]


def _result_without_data(alarm: dict[str, Any]) -> _Result | None:
    treatment = _WITHOUT_DATA.get(alarm.get("TreatMissingData", "missing"))
    if treatment is None:
        return None
    state, word = treatment
    count = int(alarm.get("EvaluationPeriods", 1))
    if state == "INSUFFICIENT_DATA":
        return _Result(state, f"Insufficient Data: {count} datapoints were unknown.")
    reason = (
        f"Threshold Crossed: no datapoints were received for {count} period{'s' if count > 1 else ''} and "
        f"{count} missing datapoint{'s were' if count > 1 else ' was'} treated as [{word}]."
    )
    return _Result(state, reason)


def _notify(alarm: dict[str, Any], previous: str) -> None:
    """Publish the change to the topics among the alarm's actions."""
    state, name = alarm["StateValue"], alarm["AlarmName"]
    if not alarm.get("ActionsEnabled", True):
        return
    subject = f'{state}: "{name}" in {get_region()}'[:100]
    message = json.dumps(_message(alarm, previous))
    for action in alarm.get(_ACTIONS[state]) or []:
        if cloudwatch._is_sns_action_arn(action) and _may_publish(alarm, action):
            sns._fanout(action, str(uuid.uuid4()), message, subject)


def _may_publish(alarm: dict[str, Any], topic_arn: str) -> bool:
    """Return whether the policies of the topic and of its key let CloudWatch publish; if not, nobody is told.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
    """
    source, account = str(alarm.get("AlarmArn", "")), get_account_id()
    if sns.topic_policy_allows(topic_arn, _SERVICE, source, account) and encrypted_topics.service_may_use_key(
        topic_arn, _SERVICE, source
    ):
        return True
    logger.warning("CloudWatch Alarms is not authorized to perform: SNS:Publish on resource: %s", topic_arn)
    return False


def _message(alarm: dict[str, Any], previous: str) -> dict[str, Any]:
    """Return the document that CloudWatch publishes (CloudWatch user guide, "Notify users on alarm changes")."""
    at = datetime.fromtimestamp(alarm["StateUpdatedTimestamp"], UTC)
    trigger = {
        member: alarm[member]
        for member in ("MetricName", "Namespace", "Unit", "Period", "EvaluationPeriods", "DatapointsToAlarm")
        if alarm.get(member) is not None
    }
    if alarm.get("ExtendedStatistic"):
        trigger |= {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": alarm["ExtendedStatistic"]}
    else:
        trigger |= {"StatisticType": "Statistic", "Statistic": alarm.get("Statistic", "Average").upper()}
    return {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription"),
        "AWSAccountId": get_account_id(),
        "NewStateValue": alarm["StateValue"],
        "NewStateReason": alarm["StateReason"],
        "StateChangeTime": at.strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
        "Region": get_region(),
        "AlarmArn": alarm.get("AlarmArn"),
        "OldStateValue": previous,
        **{actions: alarm.get(actions) or [] for actions in _ACTIONS.values()},
        "Trigger": trigger
        | {
            "Dimensions": [
                {"name": dimension["Name"], "value": dimension["Value"]}
                for dimension in alarm.get("Dimensions") or []
            ],
            "ComparisonOperator": alarm["ComparisonOperator"],
            "Threshold": alarm.get("Threshold", 0),
            "TreatMissingData": alarm.get("TreatMissingData", "missing"),
        },
    }

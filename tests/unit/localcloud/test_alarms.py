"""An alarm follows the metric with its own dimensions, and every change reaches its topics as CloudWatch writes it."""

import json
import time
from typing import Any

import pytest
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import cloudwatch, sns

from localcloud.ministack import alarms

TOPIC = "arn:aws:sns:us-east-1:000000000000:operations"


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """MiniStack's CloudWatch with nothing in it, changed as in the local cloud; what it publishes."""
    messages: list[dict[str, Any]] = []

    def publish(topic: str, message_id: str, message: str, subject: str) -> None:
        messages.append({"topic": topic, "subject": subject, **json.loads(message)})

    for store in ("_metrics", "_alarms", "_alarm_history"):
        monkeypatch.setattr(cloudwatch, store, AccountRegionScopedDict())
    monkeypatch.setattr(cloudwatch, "_evaluate_alarm", cloudwatch._evaluate_alarm)
    monkeypatch.setattr(sns, "_fanout", publish)
    alarms.apply()
    return messages


def put_alarm(queue: str | None, **members: Any) -> dict[str, Any]:
    """An alarm on visible messages, of one queue or of no queue."""
    alarm = {
        "AlarmName": "messages",
        "Namespace": "AWS/SQS",
        "MetricName": "Visible",
        "Dimensions": [{"Name": "QueueName", "Value": queue}] if queue else [],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "StateValue": "INSUFFICIENT_DATA",
        "AlarmActions": [TOPIC],
        "OKActions": [TOPIC],
        **members,
    }
    cloudwatch._alarms["messages"] = alarm
    return alarm


def record(queue: str, value: float) -> None:
    cloudwatch.record_metric("AWS/SQS", "Visible", value, "Count", {"QueueName": queue})


def state(alarm: dict[str, Any]) -> str:
    cloudwatch._evaluate_all_alarms()
    return str(alarm["StateValue"])


def test_another_queues_messages_do_not_fire_an_alarm() -> None:
    alarm = put_alarm("dead")
    record("work", 5)
    assert state(alarm) == "INSUFFICIENT_DATA"
    record("dead", 0)
    assert state(alarm) == "OK"
    record("dead", 1)
    assert state(alarm) == "ALARM"


def test_an_alarm_on_several_periods_waits_until_as_many_of_them_cross_the_threshold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    alarm = put_alarm("work", EvaluationPeriods=5, DatapointsToAlarm=3, Threshold=60)
    states = []
    for value in (100, 100, 0, 100, 0, 0, 0):
        # Twice in a period is one datapoint.
        record("work", value)
        record("work", value)
        states.append(state(alarm))
        now += 60
    assert states == ["OK", "OK", "OK", "ALARM", "ALARM", "OK", "OK"]


def test_an_alarm_without_dimensions_reads_only_the_metric_without_dimensions() -> None:
    alarm = put_alarm(None)
    record("work", 5)
    assert state(alarm) == "INSUFFICIENT_DATA"


@pytest.mark.parametrize(
    ("treatment", "expected"),
    [
        ("notBreaching", "OK"),
        ("breaching", "ALARM"),
        ("missing", "INSUFFICIENT_DATA"),
        ("ignore", "ALARM"),
    ],
)
def test_an_alarm_ends_when_its_data_ends(
    monkeypatch: pytest.MonkeyPatch, treatment: str, expected: str
) -> None:
    alarm = put_alarm("dead", TreatMissingData=treatment)
    record("dead", 1)
    assert state(alarm) == "ALARM"
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert state(alarm) == expected


def test_every_change_is_published_in_cloudwatchs_words(published: list[dict[str, Any]]) -> None:
    alarm = put_alarm("dead", AlarmDescription="Look at the queue.", TreatMissingData="notBreaching")
    assert state(alarm) == "OK"
    record("dead", 2)
    assert state(alarm) == "ALARM"
    assert state(alarm) == "ALARM"
    assert [message["NewStateValue"] for message in published] == ["OK", "ALARM"]
    fired = published[1]
    assert fired["topic"] == TOPIC
    assert fired["subject"] == 'ALARM: "messages" in us-east-1'
    assert (fired["AlarmName"], fired["OldStateValue"]) == ("messages", "OK")
    assert fired["AlarmDescription"] == "Look at the queue."
    assert "[2.0 (" in fired["NewStateReason"]
    assert "was greater than the threshold (0.0)" in fired["NewStateReason"]
    assert fired["Trigger"]["Dimensions"] == [{"name": "QueueName", "value": "dead"}]
    assert fired["Trigger"]["Statistic"] == "MAXIMUM"


def test_an_alarm_publishes_only_what_its_actions_ask_for(published: list[dict[str, Any]]) -> None:
    silent = put_alarm("dead", ActionsEnabled=False)
    record("dead", 1)
    assert state(silent) == "ALARM"
    one_way = put_alarm("dead", OKActions=[], AlarmActions=[TOPIC, "arn:aws:automate:us-east-1:ec2:stop"])
    record("dead", 1)
    assert state(one_way) == "ALARM"
    assert len(published) == 1


def test_a_percentile_and_several_periods_are_read_together() -> None:
    alarm = put_alarm("dead", Statistic=None, ExtendedStatistic="p95", EvaluationPeriods=5, Threshold=10)
    for value in (1, 1, 100):
        record("dead", value)
    assert state(alarm) == "ALARM"


def test_an_alarm_on_an_expression_stays_as_it_is() -> None:
    cloudwatch._alarms["expression"] = {"AlarmName": "expression", "StateValue": "OK", "Metrics": []}
    cloudwatch._evaluate_all_alarms()
    assert cloudwatch._alarms["expression"]["StateValue"] == "OK"

"""An alarm is evaluated by the metric with its own dimensions."""

import threading
from typing import Any

import pytest
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import cloudwatch

from localcloud.ministack import alarms


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """MiniStack's CloudWatch with nothing in it, changed as in the local cloud."""
    for store in ("_metrics", "_alarms", "_alarm_history"):
        monkeypatch.setattr(cloudwatch, store, AccountRegionScopedDict())
    monkeypatch.setattr(cloudwatch, "_evaluate_alarm", cloudwatch._evaluate_alarm)
    alarms.evaluate_by_dimensions()


def put_alarm(queue: str | None) -> dict[str, Any]:
    """An alarm on visible messages, of one queue or of no queue."""
    alarm = {
        "AlarmName": "messages",
        "Namespace": "AWS/SQS",
        "MetricName": "Visible",
        "Dimensions": [{"Name": "QueueName", "Value": queue}] if queue else [],
        "Statistic": "Maximum",
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "StateValue": "INSUFFICIENT_DATA",
    }
    cloudwatch._alarms["messages"] = alarm
    return alarm


def record(queue: str, value: float) -> None:
    cloudwatch.record_metric("AWS/SQS", "Visible", value, "Count", {"QueueName": queue})


def test_another_queues_messages_do_not_fire_an_alarm() -> None:
    alarm = put_alarm("dead")
    record("work", 5)
    cloudwatch._evaluate_all_alarms()
    assert alarm["StateValue"] == "INSUFFICIENT_DATA"
    record("dead", 0)
    cloudwatch._evaluate_all_alarms()
    assert alarm["StateValue"] == "OK"
    record("dead", 1)
    cloudwatch._evaluate_all_alarms()
    assert alarm["StateValue"] == "ALARM"


def test_an_alarm_without_dimensions_reads_only_the_metric_without_dimensions() -> None:
    alarm = put_alarm(None)
    record("work", 5)
    cloudwatch._evaluate_all_alarms()
    assert alarm["StateValue"] == "INSUFFICIENT_DATA"


def test_data_from_before_the_change_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    restored = AccountRegionScopedDict()
    restored["AWS/SQS", "Visible", "QueueName=dead"] = []
    monkeypatch.setattr(cloudwatch, "_metrics", restored)
    alarms.evaluate_by_dimensions()
    record("work", 1)
    assert len(cloudwatch._metrics) == len(restored) == 2


def test_everything_else_reads_all_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """The alarm's actions in the same thread, and other threads during the evaluation."""
    put_alarm("dead")
    record("work", 5)
    record("dead", 1)
    read: dict[str, int] = {}

    def act(*_: Any) -> None:
        read["action"] = len(cloudwatch._metrics.items())

    def calculate(points: list[dict[str, Any]]) -> Any:
        other = threading.Thread(target=lambda: read.update(other=len(cloudwatch._metrics.items())))
        other.start()
        other.join()
        read["points"] = len(points)
        return calculate_stats(points)

    calculate_stats = cloudwatch._calc_stats
    monkeypatch.setattr(cloudwatch, "_calc_stats", calculate)
    monkeypatch.setattr(cloudwatch, "_dispatch_alarm_actions", act)
    cloudwatch._evaluate_all_alarms()
    assert read == {"points": 1, "other": 2, "action": 2}
    assert len(cloudwatch._metrics.items()) == 2


def test_an_alarm_that_reads_nothing_restricts_no_later_read() -> None:
    cloudwatch._alarms["expression"] = {"AlarmName": "expression", "Dimensions": [], "Metrics": []}
    record("work", 5)
    cloudwatch._evaluate_all_alarms()
    assert len(cloudwatch._metrics.items()) == 1

"""GetMetricData of the local cloud: the points of exactly the metric, their order, labels and arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from localcloud.ministack import metric_data
from localcloud.ministack.metric_data import UnknownExpressionError, calculate

NOON = int(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp())


@pytest.fixture(autouse=True)
def _points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two minutes of a metric with a dimension, and one of the metric without."""
    monkeypatch.setattr(cloudwatch, "_metrics", {})
    with request_scope("000000000000", "us-east-1"):
        for dimensions, value in (({"line": "a"}, 4.0), ({"line": "a"}, 6.0), ({}, 100.0)):
            cloudwatch.record_metric("Loupe", "Inspected", value, "Count", dimensions)
    of_line, of_all = cloudwatch._metrics.values()
    of_line[0]["Timestamp"], of_line[1]["Timestamp"], of_all[0]["Timestamp"] = NOON, NOON + 60, NOON


def metric(identity: str, *dimensions: tuple[str, str], **members: Any) -> dict[str, Any]:
    named = [{"Name": name, "Value": value} for name, value in dimensions]
    asked = {"Namespace": "Loupe", "MetricName": "Inspected", "Dimensions": named}
    return {"Id": identity, "MetricStat": {"Metric": asked, "Period": 60, "Stat": "Sum"}, **members}


def results(*queries: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
    return metric_data.answer(
        {"MetricDataQueries": list(queries), "StartTime": NOON, "EndTime": NOON + 120, **members}
    )


def test_the_newest_point_comes_first_unless_the_oldest_is_asked_for():
    (newest,) = results(metric("a", ("line", "a")))
    (oldest,) = results(metric("a", ("line", "a")), ScanBy="TimestampAscending")
    assert newest["Values"] == [6.0, 4.0]
    assert oldest["Values"] == [4.0, 6.0]
    assert newest["Timestamps"] == oldest["Timestamps"][::-1]


def test_a_query_without_dimensions_finds_the_metric_without_dimensions_only():
    (result,) = results(metric("a"))
    assert result["Values"] == [100.0]


def test_a_result_is_labelled_by_its_metric_unless_it_has_a_label():
    labels = [
        each["Label"]
        for each in results(
            metric("a"), metric("b", Label="all lines"), {"Id": "c", "Expression": "a * 2", "Label": "twice"}
        )
    ]
    assert labels == ["Inspected", "all lines", "twice"]


def test_an_expression_uses_earlier_queries_also_those_that_are_not_returned():
    (share,) = results(
        metric("a", ("line", "a"), ReturnData=False),
        metric("all", ReturnData=False),
        {"Id": "share", "Expression": "100 * a / all"},
    )
    assert share["Values"] == [4.0]  # the second minute has no value of `all`
    assert share["StatusCode"] == "Complete"


def test_an_expression_with_a_function_says_what_is_missing_and_disturbs_no_other_result():
    filled, plain = results({"Id": "filled", "Expression": "FILL(a, 0)"}, metric("a"))
    assert filled["StatusCode"] == "InternalError"
    assert "FILL(a, 0)" in filled["Messages"][0]["Value"]
    assert filled["Values"] == []
    assert plain["Values"] == [100.0]


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("-a", {1: -2.0}),
        ("a - (b - 1)", {1: 0.0}),
        ("a / zero", {}),
        ("3 - a", {1: 1.0}),
        ("a / 4 * 2", {1: 1.0}),
    ],
)
def test_arithmetic_follows_its_rules_and_a_division_by_zero_has_no_value(
    expression: str, values: dict[int, float]
):
    assert calculate(expression, {"a": {1: 2.0}, "b": {1: 3.0}, "zero": {1: 0.0}}) == values


@pytest.mark.parametrize(
    "expression", ["", "a +", "unknown", "1 / 0", "2 + 2", "a ** b", "a.b", "__import__('os')", "True"]
)
def test_anything_else_is_refused(expression: str):
    with pytest.raises(UnknownExpressionError):
        calculate(expression, {"a": {1: 2.0}, "b": {1: 3.0}})

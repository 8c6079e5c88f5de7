"""Changes to MiniStack's CloudWatch: GetMetricData answers a query as AWS does.

MiniStack calculates no expression, names a result by its identity and not by its metric, returns the oldest point
first, and takes the points of every set of dimensions where a query names none. Here expressions may add, subtract,
multiply and divide; one with a function is answered as before, with what is missing.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import operator
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch

# The value of each period, by the time at which it begins.
Series = dict[int, float]
_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class UnknownExpressionError(ValueError):
    """An expression that the local cloud does not calculate; the message says which part."""


def apply() -> None:
    """Patch MiniStack. Clients of the older protocol, such as the AWS CLI 2.9, are answered as before."""
    get = cloudwatch._get_metric_data

    def get_metric_data(
        parameters: Any, request: dict[str, Any], is_cbor: bool, is_json: bool = False
    ) -> Any:
        if not (is_cbor or is_json):
            return get(parameters, request, is_cbor, is_json)
        results = answer(request)
        if is_json:
            return cloudwatch._json_ok({"MetricDataResults": results})
        encoded = [cloudwatch._cbor_metric_data_result(result) for result in results]
        return cloudwatch._cbor_ok({"MetricDataResults": encoded})

    cloudwatch._get_metric_data = get_metric_data


def answer(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the results of a request: those of metrics and of expressions, as they were asked for."""
    queries = request.get("MetricDataQueries") or []
    series = {query["Id"]: _recorded(query, request) for query in queries if "MetricStat" in query}
    newest_first = request.get("ScanBy") != "TimestampAscending"
    results = []
    for query in queries:
        metric = query.get("MetricStat", {}).get("Metric", {})
        result = {
            "Id": query["Id"],
            "Label": query.get("Label") or metric.get("MetricName") or query["Id"],
            "StatusCode": "Complete",
        }
        values: Series = {}
        try:
            values = series[query["Id"]] if metric else calculate(query.get("Expression", ""), series)
            series[query["Id"]] = values
        except UnknownExpressionError as error:
            result |= {
                "StatusCode": "InternalError",
                "Messages": [{"Code": "Unsupported", "Value": str(error)}],
            }
        times = sorted(values, reverse=newest_first)
        result |= {
            "Timestamps": [cloudwatch._ts_iso(time) for time in times],
            "Values": [values[time] for time in times],
        }
        if query.get("ReturnData", True):
            results.append(result)
    return results


def _recorded(query: dict[str, Any], request: dict[str, Any]) -> Series:
    asked, metric = query["MetricStat"], query["MetricStat"]["Metric"]
    dimensions = cloudwatch._dims_from_list(metric.get("Dimensions") or [])
    key = (metric["Namespace"], metric["MetricName"], cloudwatch._dims_key(dimensions))
    start, end = (cloudwatch._parse_ts(request[name]) for name in ("StartTime", "EndTime"))
    period, statistic = int(asked["Period"]), asked["Stat"]
    points = defaultdict(list)
    for point in list(cloudwatch._metrics.get(key, ())):
        if start <= point["Timestamp"] < end:
            points[int(point["Timestamp"] // period) * period].append(point)
    values = {
        time: cloudwatch._stat_value(cloudwatch._calc_stats(those), statistic, those)
        for time, those in points.items()
    }
    return {time: value for time, value in values.items() if value is not None}


def calculate(expression: str, series: dict[str, Series]) -> Series:
    """Return the values of an expression, at the times at which all of its metrics have one.

    Raises:
        UnknownExpressionError: It is none, has an unknown name, or more than + - * / and parentheses.

    >>> calculate("(a + b) / 2", {"a": {60: 1.0, 120: 5.0}, "b": {60: 3.0}})
    {60: 2.0}
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError:
        raise UnknownExpressionError(f"{expression!r} is not an expression.") from None
    value = _value(tree, series)
    if isinstance(value, float):
        raise UnknownExpressionError(f"{expression!r} names no metric.")
    return value


def _value(tree: ast.expr, series: dict[str, Series]) -> Series | float:
    if (
        isinstance(tree, ast.Constant)
        and isinstance(tree.value, int | float)
        and not isinstance(tree.value, bool)
    ):
        return float(tree.value)
    if isinstance(tree, ast.Name) and tree.id in series:
        return series[tree.id]
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return _combined(operator.sub, 0.0, _value(tree.operand, series))
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATIONS:
        return _combined(_OPERATIONS[type(tree.op)], _value(tree.left, series), _value(tree.right, series))
    raise UnknownExpressionError(
        f"The local cloud does not calculate {ast.unparse(tree)!r}: names of earlier queries, + - * / and parentheses."
    )


def _combined(
    operation: Callable[[float, float], float], left: Series | float, right: Series | float
) -> Series | float:
    """Return the values of an operation; a division by zero has none."""
    if isinstance(left, float) and isinstance(right, float):
        if operation is operator.truediv and not right:
            raise UnknownExpressionError("A number is divided by zero.")
        return operation(left, right)
    times = [set(each) for each in (left, right) if isinstance(each, dict)]
    result = {}
    for time in sorted(set.intersection(*times)):
        first, second = (each[time] if isinstance(each, dict) else each for each in (left, right))
        if operation is not operator.truediv or second:
            result[time] = operation(first, second)
    return result

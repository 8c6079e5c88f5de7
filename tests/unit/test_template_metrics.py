"""Each metric of the CloudWatch dashboard and of the alarms is one that somebody emits: our functions, or AWS."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from localcloud.deploy import read_template
from localcloud.sources import REPOSITORY

# AWS's own, by namespace, with the dimensions under which it emits them:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
# https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
# https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
_VARIANT = {"EndpointName", "VariantName"}
_AWS: dict[str, tuple[set[str], set[str]]] = {
    "AWS/SQS": ({"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}, {"QueueName"}),
    "AWS/Lambda": ({"Errors", "IteratorAge", "Duration", "Throttles"}, {"FunctionName"}),
    "AWS/ApiGateway": ({"4xx", "5xx", "Count", "Latency"}, {"ApiId"}),
    "AWS/SageMaker": (
        {
            "Invocations",
            "InvocationsPerInstance",
            "Invocation4XXErrors",
            "Invocation5XXErrors",
            "ModelLatency",
        },
        _VARIANT,
    ),
    "/aws/sagemaker/Endpoints": (
        {"CPUUtilization", "MemoryUtilization", "GPUUtilization", "GPUMemoryUtilization", "DiskUtilization"},
        _VARIANT,
    ),
    "AWS/States": (
        {
            *("ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed"),
            *("ExecutionsTimedOut", "ExecutionsAborted"),
        },
        {"StateMachineArn"},
    ),
}
_OURS = "Loupe"
# Powertools adds the service's name, which is the stack's, to every metric.
_OUR_DIMENSIONS = {"service"}


class Metric(NamedTuple):
    where: str
    namespace: str
    name: str
    dimensions: frozenset[str]


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    found: dict[str, Any] = read_template(REPOSITORY / "template.yaml")["Resources"]
    return found


def widgets(resources: dict[str, Any]) -> list[dict[str, Any]]:
    body = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
    found: list[dict[str, Any]] = json.loads(re.sub(r"\$\{([^}]+)\}", r"<\1>", body))["widgets"]
    return found


def dashboard_metrics(resources: dict[str, Any]) -> list[Metric]:
    return [
        Metric(widget["properties"]["title"], line[0], line[1], frozenset(line[2 : len(names) : 2]))
        for widget in widgets(resources)
        for line in widget["properties"].get("metrics", [])
        if (names := [part for part in line if isinstance(part, str)])
    ]


def alarm_metrics(resources: dict[str, Any]) -> list[Metric]:
    alarms = {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }
    return [
        Metric(
            name,
            alarm["Namespace"],
            alarm["MetricName"],
            frozenset(each["Name"] for each in alarm.get("Dimensions", [])),
        )
        for name, alarm in alarms.items()
    ]


def emitted() -> set[str]:
    """Return what the functions emit: each name stands as a string beside the code that counts it."""
    folders = [REPOSITORY / "functions" / folder for folder in ("inspection", "handlers")]
    text = "\n".join(file.read_text() for folder in folders for file in sorted(Path(folder).glob("*.py")))
    counted = re.findall(r'(?:count|add_metric)\(\s*"(\w+)"', text)
    listed = re.findall(r'Verdict\.\w+: "(\w+)"', text)
    timed = re.findall(r'timings(?: = \{|\[)"(\w+)"', text)
    others = re.findall(r'for metric in \("(\w+)"', text)
    return {*counted, *listed, *timed, *others}


def test_each_metric_is_emitted_under_these_dimensions(resources: dict[str, Any]) -> None:
    metrics = [*dashboard_metrics(resources), *alarm_metrics(resources)]
    assert len(metrics) > 30
    ours = emitted()
    for metric in metrics:
        if metric.namespace == _OURS:
            assert metric.name in ours, metric
            assert metric.dimensions == _OUR_DIMENSIONS, metric
        else:
            names, dimensions = _AWS[metric.namespace]
            assert metric.name in names, metric
            assert metric.dimensions == dimensions, metric


def test_a_name_that_nobody_emits_is_noticed() -> None:
    assert {"Inspected", "Passed", "Failed", "Deferred", "DefectRate", "Latency", "ModelLatency"} <= emitted()
    assert "Judged" not in emitted()


def test_the_dashboard_shows_what_operators_need(resources: dict[str, Any]) -> None:
    shown = {(metric.namespace, metric.name) for metric in dashboard_metrics(resources)}
    assert {
        *(("Loupe", "Passed"), ("Loupe", "Failed"), ("Loupe", "Latency"), ("Loupe", "ModelLatency")),
        *(("AWS/SQS", "ApproximateAgeOfOldestMessage"), ("AWS/Lambda", "Errors")),
        *(("/aws/sagemaker/Endpoints", "CPUUtilization"), ("/aws/sagemaker/Endpoints", "GPUUtilization")),
        *(("/aws/sagemaker/Endpoints", "MemoryUtilization"), ("AWS/States", "ExecutionsFailed")),
    } <= shown


def test_the_dashboard_shows_every_alarm(resources: dict[str, Any]) -> None:
    (shown,) = [widget["properties"]["alarms"] for widget in widgets(resources) if widget["type"] == "alarm"]
    alarms = {name for name, each in resources.items() if each["Type"] == "AWS::CloudWatch::Alarm"}
    assert {arn.strip("<>").removesuffix(".Arn") for arn in shown} == alarms


def test_no_two_widgets_overlap(resources: dict[str, Any]) -> None:
    cells: set[tuple[int, int]] = set()
    for widget in widgets(resources):
        x, y, width, height = (widget[name] for name in ("x", "y", "width", "height"))
        own = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        assert x + width <= 24
        assert not cells & own, widget["properties"]["title"]
        cells |= own

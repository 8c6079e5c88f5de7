"""The logs of a stack, in moto's CloudWatch Logs."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from loupe.errors import LoupeError
from loupe.stack.log_lines import parse
from loupe.stack.logs import StackLogs
from loupe.stack.target import Target

NOW = datetime.now(UTC).replace(microsecond=0)
WARNING = {
    "level": "WARNING",
    "message": "deferred",
    "timestamp": "x",
    "service": "loupe",
    "function_name": "f",
    "key": "incoming/a.jpg",
    "exception": "Traceback\n  NotReadyError: rules_invalid",
}


GROUPS = {
    "InspectLogs": "/aws/lambda/loupe-inspect",
    "RetrainLogs": "/aws/vendedlogs/states/loupe-retrain",
    "ApiAccessLogs": "/aws/vendedlogs/apis/loupe",
}


def _write(target: Target, group: str, lines: list[str], ago_s: int, stream: str = "stream") -> None:
    existing = target.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    if group not in {found["logGroupName"] for found in existing}:
        target.logs.create_log_group(logGroupName=group)
    target.logs.create_log_stream(logGroupName=group, logStreamName=stream)
    at = round((NOW - timedelta(seconds=ago_s)).timestamp() * 1000)
    events = [{"timestamp": at + number, "message": line} for number, line in enumerate(lines)]
    target.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)  # type: ignore[arg-type]


@pytest.fixture
def written(stack: Target) -> Target:
    resources = {
        name: {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": group}}
        for name, group in GROUPS.items()
    }
    stack.cloudformation.create_stack(StackName="loupe", TemplateBody=json.dumps({"Resources": resources}))
    _write(
        stack,
        "/aws/lambda/loupe-inspect",
        [
            "START RequestId: 1 Version: $LATEST",
            json.dumps(WARNING),
            json.dumps({"_aws": {"CloudWatchMetrics": []}, "Judged": 1}),
            "REPORT RequestId: 1 Duration: 3 ms",
        ],
        ago_s=60,
    )
    jobs = "/aws/sagemaker/TrainingJobs"
    _write(stack, jobs, ['{"event": "epoch", "epoch": 1}'], ago_s=120, stream="press-20260131-a/algo-1")
    _write(stack, jobs, ["of another stack's job"], ago_s=120, stream="drill-20260131-a/algo-1")
    # A transform job has the name that somebody gave it.
    _write(stack, "/aws/sagemaker/TransformJobs", ["a folder"], ago_s=7200, stream="monday/i-1/data-log")
    _write(stack, "/aws/sagemaker/Endpoints/press", ["a plain line"], ago_s=30)
    _write(stack, "/aws/lambda/loupe-2-inspect", ["of another stack"], ago_s=30)
    return stack


def test_all_logs_of_the_stack_are_read_in_the_order_of_time_without_the_runtimes_own_lines(written: Target):
    lines = StackLogs(written).read([], NOW - timedelta(hours=1))
    assert [(line.source, line.level) for line in lines] == [
        ("training", ""),
        ("inspect", "WARNING"),
        ("endpoint", ""),
    ]
    assert lines[1].message == ("deferred key=incoming/a.jpg Traceback\n  NotReadyError: rules_invalid")
    assert lines[2].message == "a plain line"


def test_one_log_since_a_moment(written: Target):
    logs = StackLogs(written)
    assert [line.source for line in logs.read(["inspect"], NOW - timedelta(hours=1))] == ["inspect"]
    assert logs.read(["training"], NOW - timedelta(seconds=100)) == []


def test_the_lines_that_contain_a_text_are_selected(written: Target):
    logs = StackLogs(written)
    assert [line.source for line in logs.read([], NOW - timedelta(hours=1), "plain")] == ["endpoint"]


def test_the_log_of_a_folder_that_was_judged_is_read_by_any_name(written: Target):
    (line,) = StackLogs(written).read(["transform"], NOW - timedelta(hours=3))
    assert (line.source, line.stream, line.message) == ("transform", "monday/i-1/data-log", "a folder")


def test_an_unknown_log_is_refused_with_the_names_that_exist(written: Target):
    with pytest.raises(LoupeError, match="no log inspekt") as caught:
        StackLogs(written).read(["inspekt"], NOW)
    assert "endpoint, inspect, requests, retrain, training, transform" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-01-31T08:00:00Z 7f Task timed out after 60.00 seconds", "ERROR"),
        ("RequestId: 7f Error: Runtime exited with error: signal: killed", "ERROR"),
        ("REPORT RequestId: 7f Duration: 60000.00 ms Status: timeout", "ERROR"),
        ("[ERROR] Runtime.ImportModuleError: No module named x", "ERROR"),
        ('{"event": "request", "status": 500, "code": "inference_failed"}', "ERROR"),
        ('{"route": "GET /api", "status": "404"}', "WARNING"),
        ('{"type": "ExecutionFailed", "details": {"cause": "no quota"}}', "ERROR"),
        ('{"event": "epoch", "epoch": 3}', ""),
    ],
)
def test_what_ended_badly_is_an_error_whoever_reports_it(line: str, level: str):
    assert parse(line) == (level, line)

"""The logs of a stack, in moto's CloudWatch Logs."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from loupe.errors import LoupeError
from loupe.stack import logs
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


def _write(target: Target, group: str, lines: list[str], ago_s: int) -> None:
    target.logs.create_log_group(logGroupName=group)
    target.logs.create_log_stream(logGroupName=group, logStreamName="stream")
    at = round((NOW - timedelta(seconds=ago_s)).timestamp() * 1000)
    events = [{"timestamp": at + number, "message": line} for number, line in enumerate(lines)]
    target.logs.put_log_events(logGroupName=group, logStreamName="stream", logEvents=events)  # type: ignore[arg-type]


@pytest.fixture
def written(stack: Target) -> Target:
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
    _write(stack, "/aws/sagemaker/TrainingJobs", ['{"event": "epoch", "epoch": 1}'], ago_s=120)
    _write(stack, "/aws/sagemaker/Endpoints/press", ["a plain line"], ago_s=30)
    _write(stack, "/aws/lambda/other-inspect", ["of another stack"], ago_s=30)
    return stack


def test_all_logs_of_the_stack_are_read_in_the_order_of_time_without_the_runtimes_own_lines(written: Target):
    lines = logs.read(written, [], NOW - timedelta(hours=1))
    assert [(line.source, line.level) for line in lines] == [
        ("training", ""),
        ("inspect", "WARNING"),
        ("endpoint", ""),
    ]
    assert lines[1].message == ("deferred key=incoming/a.jpg Traceback\n  NotReadyError: rules_invalid")
    assert lines[2].message == "a plain line"


def test_one_log_since_a_moment(written: Target):
    assert [line.source for line in logs.read(written, ["inspect"], NOW - timedelta(hours=1))] == ["inspect"]
    assert logs.read(written, ["training"], NOW - timedelta(seconds=100)) == []


def test_an_unknown_log_is_refused_with_the_names_that_exist(written: Target):
    with pytest.raises(LoupeError, match="no log inspekt") as caught:
        logs.read(written, ["inspekt"], NOW)
    assert "endpoint, inspect, training" in caught.value.hint

"""Why images have no verdict yet, in moto's account: each cause by its name, with the command that mends it."""

import dataclasses
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sagemaker.models import sagemaker_backends

from loupe.stack import uploads, waiting
from loupe.stack.target import Target
from loupe.stack.uploads import Upload
from loupe.stack.waiting import Cause, why_waiting

GROUP, STREAM = "/aws/lambda/press-inspect", "2026/01/31/[$LATEST]1"


@pytest.fixture
def target(stack: Target) -> Target:
    """A stack whose endpoint serves and whose queues are empty."""
    queues = {
        name: stack.sqs.create_queue(QueueName=name)["QueueUrl"]
        for name in ("QueueUrl", "DeadLetterQueueUrl")
    }
    outputs = stack.outputs | queues | {"InspectFunctionName": "press-inspect"}
    target = dataclasses.replace(stack, outputs=outputs, name="press")
    sagemaker = target.sagemaker
    sagemaker.create_model(
        ModelName="m", ExecutionRoleArn=outputs["SageMakerRoleArn"], PrimaryContainer={"Image": "i"}
    )
    variant = {
        "VariantName": "v",
        "ModelName": "m",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])  # type: ignore[list-item]
    sagemaker.create_endpoint(EndpointName="press", EndpointConfigName="c")
    target.logs.create_log_group(logGroupName=GROUP)
    target.logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    return target


def log(target: Target, *lines: str | dict[str, Any], at: float | None = None) -> None:
    moment = int((at or time.time()) * 1000)
    events = [
        {"timestamp": moment + number, "message": line if isinstance(line, str) else json.dumps(line)}
        for number, line in enumerate(lines)
    ]
    target.logs.put_log_events(logGroupName=GROUP, logStreamName=STREAM, logEvents=events)  # type: ignore[arg-type]


def problem(code: str, message: str) -> dict[str, Any]:
    """A line of the inspect function's log."""
    return {"level": "WARNING", "message": message, "code": code, "message_id": "1", "service": "loupe"}


def why(target: Target) -> Cause | None:
    return why_waiting(target, time.time() - 10)


def set_endpoint(status: str, reason: str | None = None) -> None:
    fake = sagemaker_backends[DEFAULT_ACCOUNT_ID]["eu-central-1"].endpoints["press"]
    fake.endpoint_status, fake.failure_reason = status, reason


def measure(target: Target, metric: str, value: float) -> None:
    target.cloudwatch.put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {
                "MetricName": metric,
                "Dimensions": [{"Name": "FunctionName", "Value": "press-inspect"}],
                "Timestamp": datetime.now(UTC),
                "Value": value,
            }
        ],
    )


def test_nothing_is_known_while_nothing_waits(target: Target) -> None:
    assert why(target) is None


def test_no_endpoint(target: Target) -> None:
    target.sagemaker.delete_endpoint(EndpointName="press")
    log(target, problem("no_endpoint", "there is no endpoint in service; again in 5 s"))
    assert why(target) == Cause(
        "no model is in service: there is no endpoint press", "Deploy one: loupe deploy MODEL"
    )


def test_an_endpoint_that_failed(target: Target) -> None:
    set_endpoint("Failed", "The container did not answer.\nNo weights.")
    cause = why(target)
    assert cause is not None
    assert cause.message == "the endpoint press is Failed: The container did not answer. No weights."
    assert "loupe logs endpoint" in cause.hint


def test_an_endpoint_that_is_created(target: Target) -> None:
    set_endpoint("Creating")
    assert why(target) == Cause("the endpoint press is being created; the images wait for it")


@pytest.mark.parametrize("status", ["InService", "Updating", "RollingBack"])
def test_an_endpoint_that_serves_is_not_the_cause(target: Target, status: str) -> None:
    set_endpoint(status)
    assert why(target) is None


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        ("rules_invalid", "the rules in loupe-rules are not valid: classes: wrong", "loupe rules check"),
        ("rules_missing", "the rules cannot be read: ParameterNotFound", "loupe rules set"),
        ("endpoint_busy", "the container is busy (429)", "too small"),
        ("endpoint_down", "the endpoint answers ServiceUnavailable", "loupe logs endpoint"),
        ("endpoint_timeout", "the endpoint takes too long", "loupe logs endpoint"),
        ("no_endpoint", "there is no endpoint in service", "now that the endpoint is in service"),
        ("no_time", "too little time is left in this invocation", "loupe logs inspect"),
        ("ModelError", "the model failed with status 500", "loupe logs inspect"),
    ],
)
def test_what_the_inspect_function_says_is_the_cause(
    target: Target, code: str, message: str, hint: str
) -> None:
    target.sqs.send_message(QueueUrl=target.output("QueueUrl"), MessageBody="an image")
    log(
        target, "START RequestId: 1", problem(code, f"{message}; again in 5 s"), {"_aws": {}}, "END RequestId"
    )
    cause = why(target)
    assert cause is not None
    assert cause.message == message
    assert hint in cause.hint


def test_the_newest_reason_counts_and_none_from_before_the_upload(target: Target) -> None:
    log(target, problem("rules_invalid", "the rules are not valid"), at=time.time() - 60)
    assert why(target) is None
    log(target, problem("rules_missing", "the rules cannot be read"), at=time.time() - 5)
    log(target, problem("endpoint_busy", "the container is busy (429)"), at=time.time() - 1)
    cause = why(target)
    assert cause is not None
    assert cause.message == "the container is busy (429)"


@pytest.mark.parametrize(
    "line",
    [
        "[ERROR] Runtime.ImportModuleError: Unable to import module 'handlers.inspect'",
        "2026-01-31T08:00:00Z 1 Task timed out after 60.00 seconds",
    ],
)
def test_a_function_that_fails_as_a_whole(target: Target, line: str) -> None:
    log(target, "START RequestId: 1", line)
    assert why(target) == Cause(f"the inspect function fails: {line}", "See what it does: loupe logs inspect")


def test_a_function_that_fails_without_a_log(target: Target) -> None:
    measure(target, "Errors", 0)
    assert why(target) is None
    measure(target, "Errors", 1)
    assert why(target) == Cause("the inspect function fails", "See what it does: loupe logs inspect")


def test_a_function_that_may_not_run(target: Target) -> None:
    measure(target, "Throttles", 3)
    cause = why(target)
    assert cause is not None
    assert "does not let the inspect function run" in cause.message


def test_images_in_the_dead_letter_queue(target: Target) -> None:
    target.sqs.send_message(QueueUrl=target.output("DeadLetterQueueUrl"), MessageBody="an image")
    cause = why(target)
    assert cause is not None
    assert cause.message == "1 image could not be processed, and is in the dead-letter queue"
    assert "loupe dlq" in cause.hint


def test_a_long_queue(target: Target) -> None:
    queue = target.output("QueueUrl")
    for delay_s in (0, 0, 0, 60):
        target.sqs.send_message(QueueUrl=queue, MessageBody="an image", DelaySeconds=delay_s)
    target.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=1)
    target.sqs.send_message(QueueUrl=target.output("DeadLetterQueueUrl"), MessageBody="an older image")
    assert why(target) == Cause("4 images wait: 2 in the queue, 1 in work, 1 to be tried again later")


def test_what_may_not_be_read_is_skipped(target: Target) -> None:
    target.logs.delete_log_group(logGroupName=GROUP)
    target.sqs.delete_queue(QueueUrl=target.output("DeadLetterQueueUrl"))
    target.sqs.send_message(QueueUrl=target.output("QueueUrl"), MessageBody="an image")
    assert why(target) == Cause("1 image waits: 1 in the queue")


def test_a_wait_shows_each_cause_once_and_goes_on(stack: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([None, Cause("one"), Cause("one"), Cause("two"), Cause("two")])
    records: list[dict[str, Any]] = [{"image": "i", "version_id": "1", "verdict": "pass"}]
    shown: list[Cause] = []
    monkeypatch.setattr(uploads, "_SECONDS_UNTIL_CAUSE", 0)
    monkeypatch.setattr(uploads, "why_waiting", lambda target, since: next(found, None))
    monkeypatch.setattr(
        uploads, "_read_records", lambda target, identities: records if len(shown) == 2 else []
    )
    upload = Upload("i", "i", "1", time.time())
    done = uploads.follow(stack, [upload], lambda record: None, 60, 0, on_wait=shown.append)
    assert shown == [Cause("one"), Cause("two")]
    assert set(done) == {("i", "1")}


def test_an_answer_that_waiting_reads_is_plain_text() -> None:
    cause = waiting._cause_in(json.dumps(problem("rules_invalid", "a\x1b[31m\nb")))
    assert cause is not None
    assert "\x1b" not in cause.message
    assert "\n" not in cause.message

"""Why images have no verdict yet."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from contract.text import counted, plain
from loupe.stack import endpoint, hours, logs, queues
from loupe.stack.target import Target

# The statuses in which an endpoint answers.
_SERVING = ("InService", "Updating", "SystemUpdating", "RollingBack")
_SEE_LOG = "See what it does: loupe logs inspect"
# What to do about each reason for which the inspect function lets an image wait (functions/inspection/errors.py).
_HINTS = {
    "rules_invalid": "See what is wrong: loupe rules show | loupe rules check -  Then: loupe rules set FILE",
    "rules_missing": "Write them again: loupe rules set FILE  Or return to earlier ones: loupe rules restore",
    "endpoint_busy": "It goes on by itself. If it lasts, the endpoint is too small for so many images.",
    "endpoint_timeout": "The images are tried again. See what the model does: loupe logs endpoint",
    "endpoint_down": "The images are tried again. See what the model does: loupe logs endpoint",
    "no_endpoint": "The images are tried again, now that the endpoint is in service.",
    "no_time": "The images are tried again. See what takes so long: loupe logs inspect",
}
# What the Lambda runtime writes when a function fails as a whole.
_CRASH = re.compile(r"\[ERROR\]|Task timed out|Runtime\.\w+|errorMessage")
# An image that must wait is tried again after at most so long, so the newest reason is in the log since then.
_LONGEST_DELAY = timedelta(minutes=15)
_AGAIN = re.compile(r"; again in \d+ s$")


@dataclass(frozen=True)
class Cause:
    """Why images wait.

    Attributes:
        message: What is the matter, in one sentence.
        hint: The command that mends it; may be empty.
    """

    message: str
    hint: str = ""


def why_waiting(target: Target, since: float) -> Cause | None:
    """Return why images have no verdict yet, the cause that must be mended first.

    Args:
        target: The stack.
        since: When the first of the images was uploaded, in seconds since 1970.

    Returns:
        The cause; None if it is unknown.
    """
    causes = (_endpoint, _log, _lambda, _dead_letters, _queue)
    for find in causes:
        # Who may upload images need not be allowed to read all of this.
        with contextlib.suppress(ClientError):
            if cause := find(target, datetime.fromtimestamp(since, UTC)):
                return cause
    return None


def _endpoint(target: Target, since: datetime) -> Cause | None:
    name = target.output("EndpointName")
    described = endpoint.describe_or_none(lambda: target.sagemaker.describe_endpoint(EndpointName=name))
    if described is None and (rest := hours.rest(target)):
        return Cause(f"the endpoint {name} {rest.text}", "To start it now: loupe endpoint start")
    if described is None:
        return Cause(f"no model is in service: there is no endpoint {name}", "Deploy one: loupe deploy MODEL")
    status = described["EndpointStatus"]
    if status in _SERVING:
        return None
    if status == "Creating":
        return Cause(f"the endpoint {name} is being created; the images wait for it")
    reason = plain(described.get("FailureReason", ""))
    message = f"the endpoint {name} is {status}" + (f": {reason}" if reason else "")
    return Cause(message, "See why: loupe logs endpoint  Then deploy another model: loupe deploy MODEL")


def _log(target: Target, since: datetime) -> Cause | None:
    """Return what the inspect function has logged last about images that must wait, or about its own failure."""
    begin = max(since, datetime.now(UTC) - _LONGEST_DELAY)
    events = logs.events(target, logs.function_group(target, "inspect"), begin)
    for event in sorted(events, key=lambda event: event["timestamp"], reverse=True):
        if cause := _cause_in(event["message"]):
            return cause
    return None


def _cause_in(line: str) -> Cause | None:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        document: dict[str, Any] = json.loads(line)
        if code := document.get("code"):
            message = _AGAIN.sub("", plain(str(document["message"])))
            return Cause(message, _HINTS.get(str(code), _SEE_LOG))
    if _CRASH.search(line):
        return Cause(f"the inspect function fails: {plain(line)[:300]}", _SEE_LOG)
    return None


def _lambda(target: Target, since: datetime) -> Cause | None:
    for metric, message, hint in (
        (
            "Throttles",
            "AWS does not let the inspect function run: too many functions run at once in this account",
            "Ask AWS for more concurrent executions, or lower InspectConcurrency (docs/deploy.md).",
        ),
        ("Errors", "the inspect function fails", _SEE_LOG),
    ):
        points = target.cloudwatch.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=[{"Name": "FunctionName", "Value": target.output("InspectFunctionName")}],
            StartTime=since.replace(second=0, microsecond=0),
            EndTime=datetime.now(UTC) + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        if points and max(points, key=lambda point: point["Timestamp"])["Sum"] > 0:
            return Cause(message, hint)
    return None


def _dead_letters(target: Target, since: datetime) -> Cause | None:
    count = sum(queues.count(target, "DeadLetterQueueUrl"))
    # While others wait, the images may still be among those.
    if count == 0 or sum(queues.count(target, "QueueUrl")) > 0:
        return None
    are = "is" if count == 1 else "are"
    return Cause(
        f"{counted(count, 'image')} could not be processed, and {are} in the dead-letter queue",
        "See why: loupe dlq  Then let them be tried again: loupe dlq redrive",
    )


def _queue(target: Target, since: datetime) -> Cause | None:
    messages = queues.count(target, "QueueUrl")
    total = sum(messages)
    if total == 0:
        return None
    places = ("in the queue", "in work", "to be tried again later")
    counts = [f"{count} {place}" for count, place in zip(messages, places, strict=True) if count]
    return Cause(f"{counted(total, 'image')} {'waits' if total == 1 else 'wait'}: {', '.join(counts)}")

"""What the functions, the endpoint and the jobs have written to CloudWatch Logs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from loupe.errors import LoupeError
from loupe.stack.target import Target

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef

_FUNCTIONS = "/aws/lambda/"
_JOBS = {"training": "/aws/sagemaker/TrainingJobs", "processing": "/aws/sagemaker/ProcessingJobs"}
# What the Lambda runtime writes about each invocation.
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
_RUNTIME_LINES = ("START RequestId", "END RequestId", "REPORT RequestId", "INIT_START", "XRAY TraceId")
# The members of a Powertools log line that say where it comes from, not what happened.
_ORIGIN = (
    *("level", "message", "location", "timestamp", "service", "sampling_rate", "xray_trace_id"),
    *("cold_start", "function_name", "function_memory_size", "function_arn", "function_request_id"),
)


@dataclass(frozen=True)
class LogLine:
    """A line of a log.

    Attributes:
        at: When it was written.
        source: The function, `endpoint`, `training` or `processing`.
        stream: The log stream, which names the job.
        level: As the program wrote it; empty if it did not.
        message: What it says.
    """

    at: datetime
    source: str
    stream: str
    level: str
    message: str


def sources(target: Target) -> dict[str, str]:
    """Return the log groups that exist, by the names that `read` takes."""
    prefix = function_group(target, "")
    candidates = {"endpoint": f"/aws/sagemaker/Endpoints/{target.output('EndpointName')}"} | _JOBS
    groups = {name: group for name, group in candidates.items() if group in _groups(target, group)}
    return {group.removeprefix(prefix): group for group in _groups(target, prefix)} | groups


def _groups(target: Target, prefix: str) -> list[str]:
    pages = target.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    return [group["logGroupName"] for page in pages for group in page["logGroups"]]


def read(target: Target, names: Iterable[str], since: datetime) -> list[LogLine]:
    """Return the lines since a point in time, oldest first.

    Args:
        target: The stack.
        names: Keys of `sources`; empty for all of them.
        since: The first moment.

    Raises:
        LoupeError: There is no such log.
    """
    groups = sources(target)
    if unknown := [name for name in names if name not in groups]:
        raise LoupeError(
            f"there is no log {', '.join(unknown)}",
            f"Logs: {', '.join(sorted(groups)) or 'none yet'}. A log appears with its first line.",
        )
    lines = [line for name in list(names) or groups for line in _lines(target, name, groups[name], since)]
    return sorted(lines, key=lambda line: line.at)


def events(target: Target, group: str, since: datetime) -> Iterator[FilteredLogEventTypeDef]:
    """Yield the events of a log group since a point in time."""
    pages = target.logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, startTime=int(since.timestamp() * 1000)
    )
    for page in pages:
        yield from page["events"]


def function_group(target: Target, function: str) -> str:
    """Return the log group of one of the stack's functions, such as `inspect`."""
    return f"{_FUNCTIONS}{target.name}-{function}"


def _lines(target: Target, source: str, group: str, since: datetime) -> Iterator[LogLine]:
    try:
        for event in events(target, group, since):
            if parsed := _parse(event["message"]):
                at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                yield LogLine(at, source, event.get("logStreamName", ""), *parsed)
    except ClientError as error:
        # It was deleted meanwhile.
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise


def _parse(text: str) -> tuple[str, str] | None:
    """Return the level and the message; None for a line about the invocation itself, or a metric."""
    text = text.rstrip()
    if not text or text.startswith(_RUNTIME_LINES):
        return None
    try:
        document: Any = json.loads(text)
    except ValueError:
        return "", text
    if not isinstance(document, dict) or "message" not in document:
        # EMF: a metric, for CloudWatch. Any other document is what a program reports, such as an epoch.
        return None if isinstance(document, dict) and "_aws" in document else ("", text)
    message = document["message"]
    rest = {name: value for name, value in document.items() if name not in _ORIGIN and value is not None}
    words = [message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)]
    words += [f"{name}={value}" for name, value in rest.items() if name != "exception"]
    words += [str(rest["exception"])] if "exception" in rest else []
    return str(document.get("level", "")), " ".join(words)

"""What functions, state machine, endpoint, jobs and the API have written to CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from loupe.errors import LoupeError
from loupe.stack import log_groups
from loupe.stack.log_lines import parse
from loupe.stack.target import Target

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef

_FUNCTIONS = "/aws/lambda/"
# These groups are for the jobs of the whole account; the stack's begin with its unique part.
_JOBS = {"training": log_groups.TRAINING, "processing": log_groups.PROCESSING}
# Who judges a folder gives the job its name.
_TRANSFORM = {"transform": log_groups.TRANSFORM}
# Of API Gateway and of Step Functions; the names that people use for them.
_VENDED = {"/aws/vendedlogs/apis/": "requests", "/aws/vendedlogs/states/": "retrain"}
# In these an image leaves lines with its id.
IMAGE_SOURCES = ("inspect", "endpoint", "alert", "track", "replay", "api")
_PARALLEL = 8


@dataclass(frozen=True)
class LogLine:
    """A line of a log.

    Attributes:
        at: When it was written.
        source: The function, `endpoint`, `training`, `processing` or `transform`, `retrain`, `requests`.
        stream: The log stream, which names the job.
        level: As the program wrote it, or as its status says; empty if neither is known.
        message: What it says.
    """

    at: datetime
    source: str
    stream: str
    level: str
    message: str


class StackLogs:
    """The logs of a stack."""

    def __init__(self, target: Target) -> None:
        """Initialize; nothing is asked before the first method."""
        self._target = target

    def sources(self) -> dict[str, str]:
        """Return the log groups that exist, by the names that `read` takes."""
        others = (
            {"endpoint": log_groups.of_endpoint(self._target.output("EndpointName"))} | _JOBS | _TRANSFORM
        )
        return {**self._own, **{name: group for name, group in others.items() if self._exists(group)}}

    def read(self, names: Iterable[str], since: datetime, text: str | None = None) -> list[LogLine]:
        """Return the lines since a point in time, oldest first.

        Args:
            names: Keys of `sources`; empty for all of them.
            since: The first moment.
            text: What a line must contain; CloudWatch selects the lines.

        Raises:
            LoupeError: There is no such log.
        """
        groups = self.sources()
        if unknown := [name for name in names if name not in groups]:
            raise LoupeError(
                f"there is no log {', '.join(unknown)}",
                f"Logs: {', '.join(sorted(groups)) or 'none yet'}. A log appears with its first line.",
            )
        with ThreadPoolExecutor(_PARALLEL) as pool:
            # A client is made in one thread.
            _ = self._target.logs
            found = pool.map(
                lambda name: list(self._lines(name, groups[name], since, text)), list(names) or list(groups)
            )
            return sorted((line for lines in found for line in lines), key=lambda line: line.at)

    @cached_property
    def _own(self) -> dict[str, str]:
        """The groups that the template declares. Asked from CloudFormation: another stack's may begin alike."""
        client = self._target.cloudformation
        pages = client.get_paginator("list_stack_resources").paginate(StackName=self._target.name)
        groups = [
            each["PhysicalResourceId"]
            for page in pages
            for each in page["StackResourceSummaries"]
            if each["ResourceType"] == "AWS::Logs::LogGroup" and each.get("PhysicalResourceId")
        ]
        return {self._name(group): group for group in groups if not group.startswith(log_groups.ENDPOINTS)}

    def _name(self, group: str) -> str:
        for beginning, name in _VENDED.items():
            if group.startswith(beginning):
                return name
        return group.removeprefix(function_group(self._target, ""))

    def _exists(self, group: str) -> bool:
        return log_groups.find(self._target.logs, group) is not None

    def _lines(self, source: str, group: str, since: datetime, text: str | None) -> Iterator[LogLine]:
        prefix = f"{self._unique}-" if source in _JOBS else None
        try:
            for event in events(self._target, group, since, text, prefix):
                if parsed := parse(event["message"]):
                    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                    yield LogLine(at, source, event.get("logStreamName", ""), *parsed)
        except ClientError as error:
            # It was deleted meanwhile.
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise

    @property
    def _unique(self) -> str:
        """The stack's part of the names of its jobs, with which the name of its group of models ends."""
        return self._target.output("ModelPackageGroupName").rpartition("-")[2]


def events(
    target: Target, group: str, since: datetime, text: str | None = None, stream_prefix: str | None = None
) -> Iterator[FilteredLogEventTypeDef]:
    """Yield the events of a log group since a point in time.

    Args:
        target: The stack.
        group: The log group.
        since: The first moment.
        text: What an event must contain; None for all events.
        stream_prefix: How the names of the streams begin; None for all streams.
    """
    request: dict[str, str] = {}
    if text:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
        request["filterPattern"] = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if stream_prefix:
        request["logStreamNamePrefix"] = stream_prefix
    pages = target.logs.get_paginator("filter_log_events").paginate(
        logGroupName=group,
        startTime=int(since.timestamp() * 1000),
        **request,  # type: ignore[arg-type]
    )
    for page in pages:
        for event in page["events"]:
            if event.get("logStreamName", "").startswith(stream_prefix or ""):
                yield event


def function_group(target: Target, function: str) -> str:
    """Return the log group of one of the stack's functions, such as `inspect`."""
    return f"{_FUNCTIONS}{target.name}-{function}"

"""The executions of the retrain state machine: what was asked, how far they are, and how they ended."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_APPROVAL_STATE = "AskApproval"
REJECTED = "Rejected"  # the error by which a person's answer ends that state
# States of other types take no time.
_SHOWN_TYPES = ("Task", "Map", "Parallel", "Wait")
_ENDS = {"ExecutionFailed": "failed", "ExecutionAborted": "stopped", "ExecutionTimedOut": "failed"}


@dataclass
class Step:
    """A state of the state machine.

    Attributes:
        name: The state's name.
        started_at: When it was first entered; a state in a loop is entered several times.
        stopped_at: When it was last left; None while it is active.
        status: running, done, failed or stopped.
    """

    name: str
    started_at: datetime
    stopped_at: datetime | None = None
    status: str = "running"


@dataclass
class Progress:
    """How far an execution is.

    Attributes:
        steps: In the order in which they were first entered. States inside a map are left out: the jobs tell more.
        plan: The output of the state Plan; empty until that state has ended.
        answer: What a person has answered, in the words of `retraining.answers.Answer.text`; None until then.
    """

    steps: list[Step] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)
    answer: str | None = None

    @property
    def waits_for_approval(self) -> bool:
        """Whether a person must answer."""
        return any(step.name == _APPROVAL_STATE and step.stopped_at is None for step in self.steps)


@dataclass(frozen=True)
class Executions:
    """Reads and starts executions.

    Attributes:
        states: The Step Functions client.
        machine_arn: The state machine's ARN.
    """

    states: SFNClient
    machine_arn: str

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """Return Step Functions' descriptions of the newest executions. They are kept for 90 days."""
        pages = self.states.get_paginator("list_executions").paginate(stateMachineArn=self.machine_arn)
        listed = islice((execution for page in pages for execution in page["executions"]), limit)
        described = [self._describe(execution["executionArn"]) for execution in listed]
        return sorted(described, key=lambda execution: execution["startDate"], reverse=True)

    def find(self, name: str) -> dict[str, Any] | None:
        """Return the description of an execution; None if there is none of this name."""
        try:
            return self._describe(f"{self.machine_arn.replace(':stateMachine:', ':execution:')}:{name}")
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ExecutionDoesNotExist", "InvalidArn"):
                return None
            raise

    def next_name(self, document: dict[str, Any], by: str) -> str:
        """Return the name of the execution that a request starts. Who repeats the request before that gets it again.

        Args:
            document: The input of the execution.
            by: Who asks for it.
        """
        newest = self.states.list_executions(stateMachineArn=self.machine_arn, maxResults=1)["executions"]
        content = [self.machine_arn, newest[0]["name"] if newest else "", document, by]
        return str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True)))

    def start(self, name: str, document: dict[str, Any]) -> bool:
        """Start an execution. To start the same one again changes nothing while it runs.

        https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html

        Args:
            name: Its name.
            document: Its input.

        Returns:
            Whether it runs: False if there was one of this name before.
        """
        try:
            self.states.start_execution(
                stateMachineArn=self.machine_arn, name=name, input=json.dumps(document)
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
            return False
        return True

    def running(self) -> str | None:
        """Return the name of an execution that is running."""
        reply = self.states.list_executions(
            stateMachineArn=self.machine_arn, statusFilter="RUNNING", maxResults=1
        )
        return next((execution["name"] for execution in reply["executions"]), None)

    def progress(self, arn: str) -> Progress:
        """Return how far an execution is, from the history of its events.

        https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
        """
        reader = _History()
        for event in self._events(arn):
            reader.apply(event)
        return reader.progress

    def _describe(self, arn: str) -> dict[str, Any]:
        return dict(self.states.describe_execution(executionArn=arn))

    def _events(self, arn: str) -> Iterator[Any]:
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=arn)
        return (event for page in pages for event in page["events"])


class _History:
    """Builds the steps from the events, which come in the order in which they happened."""

    def __init__(self) -> None:
        self.progress = Progress()
        self._steps: dict[str, Step] = {}
        self._open_map: str | None = None

    def apply(self, event: dict[str, Any]) -> None:
        kind, at = event["type"], event["timestamp"]
        if kind.endswith("StateEntered"):
            self._enter(kind.removesuffix("StateEntered"), event["stateEnteredEventDetails"]["name"], at)
        elif kind.endswith("StateExited"):
            self._exit(event["stateExitedEventDetails"], at)
        elif self.progress.waits_for_approval and kind == "TaskSucceeded":
            self.progress.answer = event["taskSucceededEventDetails"].get("output")
        elif self.progress.waits_for_approval and kind == "TaskFailed":
            # What the function that asks was refused is no answer, and it is called again.
            details = event["taskFailedEventDetails"]
            self.progress.answer = details.get("cause") if details.get("error") == REJECTED else None
        elif kind in _ENDS:
            for step in self.progress.steps:
                if step.stopped_at is None:
                    step.stopped_at, step.status = at, _ENDS[kind]

    def _enter(self, state_type: str, name: str, at: datetime) -> None:
        if self._open_map is not None or state_type not in _SHOWN_TYPES:
            return
        if state_type in ("Map", "Parallel"):
            self._open_map = name
        step = self._steps.get(name)
        if step is None:
            step = self._steps[name] = Step(name, at)
            self.progress.steps.append(step)
        step.stopped_at, step.status = None, "running"

    def _exit(self, details: dict[str, Any], at: datetime) -> None:
        name = details["name"]
        if self._open_map not in (None, name) or name not in self._steps:
            return
        self._open_map = None
        self._steps[name].stopped_at, self._steps[name].status = at, "done"
        if name == "Plan":
            # Step Functions truncates a very long output, or leaves it out.
            self.progress.plan = json_object(details.get("output"))


def json_object(text: str | None) -> dict[str, Any]:
    """Return a JSON object; empty for anything else, which only a hand-made execution has."""
    try:
        document = json.loads(text or "{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}

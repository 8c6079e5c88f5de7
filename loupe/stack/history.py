"""Which steps an execution of the state machine has reached, from the history of its events."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from loupe.stack.target import Target

_PAGE_SIZE = 100
# States of other types take no time.
_SHOWN_TYPES = ("Task", "Map", "Parallel", "Wait")
_FAILURE_EVENTS = ("ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut")


@dataclass
class Step:
    """A state of the state machine.

    Attributes:
        name: The state's name.
        began: When it was first entered; a state in a loop is entered several times.
        ended: When it was last left; None while it is active.
        failed: Whether the execution ended in it without success.
    """

    name: str
    began: datetime
    ended: datetime | None = None
    failed: bool = False

    def seconds(self) -> float:
        """Return how long the step took, or has taken until now."""
        return ((self.ended or datetime.now(UTC)) - self.began).total_seconds()


class History:
    """The states that an execution has entered, in that order.

    States inside a map are left out: their jobs give more detail, and the local cloud does not record their events.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html

    Attributes:
        plan: The output of the state Plan; None until that state has ended.
    """

    def __init__(self, target: Target, arn: str) -> None:
        self._stepfunctions, self._arn = target.stepfunctions, arn
        self._steps: dict[str, Step] = {}
        self._last_event_id = 0
        self._open_map: str | None = None
        self.plan: dict[str, Any] | None = None

    @property
    def steps(self) -> list[Step]:
        """The steps, in the order in which they were first entered."""
        return list(self._steps.values())

    def waits_in(self, name: str) -> bool:
        """Return whether a step is active."""
        return name in self._steps and self._steps[name].ended is None

    def read(self) -> None:
        """Read the events that were added since the last call."""
        events: list[Any] = []
        pages = self._stepfunctions.get_paginator("get_execution_history").paginate(
            executionArn=self._arn, reverseOrder=True, PaginationConfig={"PageSize": _PAGE_SIZE}
        )
        for page in pages:
            events += [event for event in page["events"] if event["id"] > self._last_event_id]
            if not page["events"] or page["events"][-1]["id"] <= self._last_event_id + 1:
                break
        for event in sorted(events, key=lambda event: event["id"]):
            self._apply(event)
            self._last_event_id = event["id"]

    def _apply(self, event: dict[str, Any]) -> None:
        kind, at = event["type"], event["timestamp"]
        if kind.endswith("StateEntered"):
            self._enter(kind.removesuffix("StateEntered"), event["stateEnteredEventDetails"]["name"], at)
        elif kind.endswith("StateExited"):
            self._exit(event["stateExitedEventDetails"], at)
        elif kind in _FAILURE_EVENTS:
            for step in self._steps.values():
                if step.ended is None:
                    step.ended, step.failed = at, True

    def _enter(self, state_type: str, name: str, at: datetime) -> None:
        if self._open_map is not None or state_type not in _SHOWN_TYPES:
            return
        if state_type in ("Map", "Parallel"):
            self._open_map = name
        self._steps.setdefault(name, Step(name, at)).ended = None

    def _exit(self, details: dict[str, Any], at: datetime) -> None:
        name = details["name"]
        if self._open_map not in (None, name) or name not in self._steps:
            return
        self._open_map, self._steps[name].ended = None, at
        if name == "Plan":
            # Step Functions truncates a very long output, or leaves it out.
            with contextlib.suppress(ValueError, KeyError):
                self.plan = json.loads(details["output"])

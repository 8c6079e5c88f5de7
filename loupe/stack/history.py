"""Where an execution is, from the history of its events."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from loupe.stack.target import Target

_PAGE = 100
_SHOWN = ("Task", "Map", "Parallel", "Wait")  # the others take no time
_ENDS = ("ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut")


@dataclass
class Step:
    """One state of the machine. began: when it was first entered; a state in a loop is entered again."""

    name: str
    began: datetime
    ended: datetime | None = None
    failed: bool = False

    def seconds(self) -> float:
        """How long it took, or has taken until now."""
        return ((self.ended or datetime.now(UTC)) - self.began).total_seconds()


class History:
    """The states that an execution has entered, in that order.

    States inside a map are left out: their jobs say more, and the local cloud records no events of theirs.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
    """

    def __init__(self, target: Target, arn: str) -> None:
        self._states, self._arn = target.states, arn
        self._steps: dict[str, Step] = {}
        self._seen = 0
        self._map: str | None = None
        self.plan: dict[str, Any] | None = None

    @property
    def steps(self) -> list[Step]:
        return list(self._steps.values())

    def read(self) -> None:
        """Takes in what has happened since the last time."""
        events: list[Any] = []
        pages = self._states.get_paginator("get_execution_history").paginate(
            executionArn=self._arn, reverseOrder=True, PaginationConfig={"PageSize": _PAGE}
        )
        for page in pages:
            events += [event for event in page["events"] if event["id"] > self._seen]
            if not page["events"] or page["events"][-1]["id"] <= self._seen + 1:
                break
        for event in sorted(events, key=lambda each: each["id"]):
            self._take(event)
            self._seen = event["id"]

    def _take(self, event: dict[str, Any]) -> None:
        kind, at = event["type"], event["timestamp"]
        if kind.endswith("StateEntered"):
            self._enter(kind.removesuffix("StateEntered"), event["stateEnteredEventDetails"]["name"], at)
        elif kind.endswith("StateExited"):
            self._exit(event["stateExitedEventDetails"], at)
        elif kind in _ENDS:
            for step in self._steps.values():
                if step.ended is None:
                    step.ended, step.failed = at, True

    def _enter(self, kind: str, name: str, at: datetime) -> None:
        if self._map is not None or kind not in _SHOWN:
            return
        if kind in ("Map", "Parallel"):
            self._map = name
        self._steps.setdefault(name, Step(name, at)).ended = None

    def _exit(self, details: dict[str, Any], at: datetime) -> None:
        name = details["name"]
        if self._map not in (None, name) or name not in self._steps:
            return
        self._map, self._steps[name].ended = None, at
        if name == "Plan":
            with contextlib.suppress(ValueError, KeyError):  # cut off, or left out, where it is very long
                self.plan = json.loads(details["output"])

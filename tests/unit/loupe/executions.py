"""Executions of the retrain state machine, as Step Functions describes them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.loupe.account import RefusedError

BEGAN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ARN = "arn:aws:states:eu-central-1:123456789012:execution:press-retrain:one"
PLAN = {
    "run": "0123456789ab",
    "candidates": [
        {
            "id": "ssdlite",
            "family": "ssdlite",
            "tuned": False,
            "kind": "train",
            "name": "press-0123456789ab-ssdlite",
            "evaluation": {"name": "press-0123456789ab-eval-ssdlite", "done": False},
        },
        {
            "id": "ssdlite-tuned",
            "family": "ssdlite",
            "tuned": True,
            "kind": "tune",
            "name": "press-01234567-hpo",
            "evaluation": {"name": "press-0123456789ab-eval-ssdlite-tuned", "done": False},
        },
    ],
}


class Recorder:
    """Records the history of an execution, with one second between two events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def add(self, kind: str, name: str | None = None, output: Any = None) -> None:
        number = len(self.events) + 1
        event: dict[str, Any] = {"id": number, "type": kind, "timestamp": BEGAN + timedelta(seconds=number)}
        if kind.endswith("StateEntered"):
            event["stateEnteredEventDetails"] = {"name": name, "input": "{}"}
        elif kind.endswith("StateExited"):
            event["stateExitedEventDetails"] = {"name": name, "output": json.dumps(output)}
        self.events.append(event)

    def through(self, kind: str, name: str, output: Any = None) -> None:
        self.add(f"{kind}StateEntered", name)
        self.add(f"{kind}StateExited", name, output)


def history(events: list[dict[str, Any]], page: int = 3) -> Any:
    """Answer GetExecutionHistory from a list of events, which may grow."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        assert request["reverseOrder"], "newest first, so that old events are not read again"
        whole = events[::-1]
        start = int(request.get("nextToken", 0))
        rest = {"nextToken": str(start + page)} if start + page < len(whole) else {}
        return {"events": whole[start : start + page], **rest}

    return answer


def described(status: str, **members: Any) -> Any:
    """Answer DescribeExecution with this status."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if request["executionArn"] != ARN:
            raise RefusedError("ExecutionDoesNotExist")
        return {"executionArn": ARN, "status": status, **members}

    return answer

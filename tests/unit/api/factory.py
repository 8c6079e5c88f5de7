"""A stack's retraining behind the API, in memory: runs, their questions, and models."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

from retraining.documents import Documents
from tests.unit.retraining.account import Account, RefusedError

REGION = "eu-central-1"
NOW = datetime(2026, 3, 2, tzinfo=UTC)


class Runs:
    """The runs of one stack.

    Attributes:
        machine: The state machine's ARN.
        account: SageMaker and Step Functions.
        executions: Descriptions by name, oldest first.
        events: The history of the run that waits.
        answers: The calls that answered its question.
        numbers: The registered versions.
    """

    machine = f"arn:aws:states:{REGION}:123456789012:stateMachine:press-retrain"

    def __init__(self, documents: Documents) -> None:
        self.account, self.documents = Account(), documents
        self.executions: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.answers: list[tuple[str, dict[str, Any]]] = []
        self.numbers: tuple[int, ...] = ()
        self.account.answers |= {
            "ListExecutions": self._list,
            "DescribeExecution": lambda request: self._described(request["executionArn"]),
            "GetExecutionHistory": lambda request: {"events": self.events},
            "StartExecution": self._start,
            "SendTaskSuccess": lambda request: self._answered("success", request),
            "SendTaskFailure": lambda request: self._answered("failure", request),
            "ListModelPackages": lambda request: self._packages(),
            "DescribeModelPackage": lambda request: self._package(request["ModelPackageName"]),
        }

    def run(self, name: str, status: str = "RUNNING", **members: Any) -> None:
        """Add a run."""
        self.executions[name] = {
            "executionArn": f"{self.machine.replace(':stateMachine:', ':execution:')}:{name}",
            "name": name,
            "status": status,
            "startDate": NOW,
            "input": "{}",
            **members,
        }

    def waits(self, run: str) -> None:
        """Let the run of this id wait for a person."""
        plan = _event(
            "TaskStateExited", stateExitedEventDetails={"name": "Plan", "output": json.dumps({"run": run})}
        )
        entered = [
            _event("TaskStateEntered", stateEnteredEventDetails={"name": name})
            for name in ("Plan", "AskApproval")
        ]
        self.events = [entered[0], plan, entered[1]]
        question = {"token": "t" * 20, "run": run, "version": "3", "requested_at": "2026-03-02T08:00:00Z"}
        self.documents.write(f"retraining/approvals/{run}.json", question)

    def registered(self, *numbers: int) -> None:
        """Register versions."""
        self.numbers = numbers

    def serve(self, number: int) -> None:
        """Let a version serve."""
        self.account.deployed(f"press-{number}", artefact=f"s3://m/{number}")
        self.account.serve(f"press-{number}")
        self.account.endpoints["press-detector"]["CreationTime"] = NOW

    def left(self) -> Any:
        """Return the runs, and what a person has answered."""
        return [self.executions, self.answers]

    def saved(self) -> Any:
        """Return everything, for `restore`."""
        account = self.account.endpoints, self.account.configs, self.account.models, self.account.tags
        return copy.deepcopy([self.executions, self.events, self.answers, self.numbers, account])

    def restore(self, saved: Any) -> None:
        """Return to what was saved."""
        self.executions, self.events, self.answers, self.numbers, account = copy.deepcopy(saved)
        self.account.endpoints, self.account.configs, self.account.models, self.account.tags = account

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        found = [
            {**execution, "stateMachineArn": self.machine}
            for execution in reversed(self.executions.values())
            if request.get("statusFilter") in (None, execution["status"])
        ]
        return {"executions": found[: request.get("maxResults", 1000)]}

    def _described(self, arn: str) -> dict[str, Any]:
        name = arn.rpartition(":")[2]
        if name not in self.executions:
            raise RefusedError("ExecutionDoesNotExist")
        return self.executions[name]

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html"""
        former = self.executions.get(request["name"])
        if former and (former["status"], former["input"]) != ("RUNNING", request["input"]):
            raise RefusedError("ExecutionAlreadyExists")
        self.run(request["name"], input=request["input"])
        return {"executionArn": self.executions[request["name"]]["executionArn"], "startDate": NOW}

    def _answered(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html"""
        if self.answers:
            raise RefusedError("TaskTimedOut")
        self.answers.append((kind, request))
        details: dict[str, Any] = {"resourceType": "lambda", "resource": "invoke.waitForTaskToken"}
        if kind == "success":
            answered = _event(
                "TaskSucceeded", taskSucceededEventDetails=details | {"output": request["output"]}
            )
        else:
            error = {"error": request["error"], "cause": request["cause"]}
            answered = _event("TaskFailed", taskFailedEventDetails=details | error)
        left = _event("TaskStateExited", stateExitedEventDetails={"name": "AskApproval", "output": "{}"})
        self.events = [*self.events, answered, left]
        return {}

    def _packages(self) -> dict[str, Any]:
        arn = f"arn:aws:sagemaker:{REGION}:123456789012:model-package/press-0123"
        return {
            "ModelPackageSummaryList": [{"ModelPackageArn": f"{arn}/{number}"} for number in self.numbers]
        }

    def _package(self, arn: str) -> dict[str, Any]:
        number = arn.rpartition("/")[2]
        return {
            "ModelPackageArn": arn,
            "ModelPackageVersion": int(number),
            "CreationTime": NOW,
            "ModelApprovalStatus": "Approved",
            "InferenceSpecification": {"Containers": [{"ModelDataUrl": f"s3://m/{number}"}]},
        }


def _event(kind: str, **details: Any) -> dict[str, Any]:
    return {"id": 1, "timestamp": NOW, "type": kind, **details}

"""What runs, what serves, what waits, and which alarms are on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loupe.stack import approvals, deployment, endpoint, hours, queues, registry
from loupe.stack.alarms import Alarm, alarms
from loupe.stack.endpoint import EndpointDescription
from loupe.stack.hours import Rest
from loupe.stack.registry import Version
from loupe.stack.target import Target


@dataclass(frozen=True)
class Status:
    """The state of a stack.

    Attributes:
        endpoint: The endpoint; None if there is none.
        version: The registered version that it serves; None for a model that was deployed by hand.
        waiting: Images that wait for their verdict, those in work and those to be tried again later included.
        failed: Images in the dead-letter queue.
        runs: The ARNs of the retraining runs in progress.
        approvals: The versions that wait for a person's approval, with their runs.
        alarms: The alarms that are on.
        trial: What came out of the trial of a model that was deployed by hand; None if it had none.
        rest: Until when the endpoint rests; None if it does not.
    """

    endpoint: EndpointDescription | None
    version: Version | None
    waiting: int
    failed: int
    runs: list[str]
    approvals: list[dict[str, Any]]
    alarms: list[Alarm]
    trial: str | None
    rest: Rest | None = None


def read(target: Target) -> Status:
    """Return the state of a stack."""
    current = endpoint.describe(target)
    versions = registry.versions(target, current) if current else []
    running = target.stepfunctions.list_executions(
        stateMachineArn=target.output("RetrainStateMachineArn"), statusFilter="RUNNING"
    )["executions"]
    # Only a run asks for an approval, and clients take long to create.
    requests = approvals.pending(target) if running else []
    return Status(
        endpoint=current,
        version=next((version for version in versions if version.serving), None),
        waiting=sum(queues.count(target, "QueueUrl")),
        failed=sum(queues.count(target, "DeadLetterQueueUrl")),
        runs=[execution["executionArn"] for execution in running],
        approvals=[{"version": request.version, "run": request.run} for request in requests],
        alarms=[alarm for alarm in alarms(target) if alarm.state == "ALARM"],
        trial=deployment.trial_of(target, current.model) if current else None,
        rest=None if current else hours.rest(target),
    )

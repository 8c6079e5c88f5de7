"""Approve or reject what waits for a person's decision: retraining runs, and versions that others registered."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import ClientError

from contract.keys import APPROVALS
from loupe.errors import LoupeError
from loupe.stack import registry
from loupe.stack.registry import APPROVED, REJECTED, Version
from loupe.stack.target import Target

_RUN = re.compile("[0-9a-f]{12}")
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
_NO_LONGER_WAITING = ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken")


@dataclass(frozen=True)
class ApprovalRequest:
    """A run's question whether its model may go into service.

    Attributes:
        token: The Step Functions task token that the answer needs.
        run: The run's id, 12 hexadecimal characters.
        version: The model's version in the registry.
        requested_at: ISO 8601.
        evaluation: The S3 URI of the page about the model; None in a request of an older version of Loupe.
    """

    token: str
    run: str
    version: int
    requested_at: str
    evaluation: str | None = None


def pending(target: Target) -> list[ApprovalRequest]:
    """Return all requests that wait, oldest first.

    Raises:
        LoupeError: A request in the artefacts bucket is damaged.
    """
    entries = target.list_artefacts(APPROVALS)
    requests = [request for entry in entries if (request := _read(target, entry["Key"]))]
    return sorted(requests, key=lambda request: request.requested_at)


def _read(target: Target, key: str) -> ApprovalRequest | None:
    document = target.read_json(key)
    # Somebody may have answered it since the keys were listed.
    if document is None:
        return None
    try:
        # The version is a number, or the ARN of a package, which ends with the number.
        version = int(str(document["version"]).rpartition("/")[2])
        return ApprovalRequest(
            document["token"],
            document["run"],
            version,
            document["requested_at"],
            document.get("evaluation"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LoupeError(
            f"{key} in the artefacts bucket is not an approval request: {error!r}",
            "Delete the object, and stop the run (loupe retrain --stop).",
        ) from error


def find(target: Target, version_or_run: str) -> ApprovalRequest | Version:
    """Return what waits for a decision.

    Returns:
        The request of a run, or the newest one for a version. If no run asks about the version: the version itself, as
        the SageMaker SDK and the AWS CLI register one.

    Raises:
        LoupeError: Nothing of that name waits.
    """
    if _RUN.fullmatch(version_or_run):
        request = _read(target, f"{APPROVALS}{version_or_run}.json")
        if request:
            return request
    elif version_or_run.isdigit():
        number = int(version_or_run)
        for request in reversed(pending(target)):
            if request.version == number:
                return request
        for version in registry.versions(target, None):
            if version.number == number:
                return _waiting(version)
    else:
        raise LoupeError(
            f"{version_or_run!r} is neither a version nor a run",
            "Give a version's number, or a run's 12 characters.",
        )
    raise LoupeError(f"{version_or_run} does not wait for approval", f"Waiting: {_all_waiting(target)}.")


def _waiting(version: Version) -> Version:
    if not version.waiting:
        raise LoupeError(
            f"version {version.number} is {version.status} already, and no run waits for it",
            f"To serve it: loupe rollback {version.number}{'' if version.status == APPROVED else ' --force'}",
        )
    return version


def _all_waiting(target: Target) -> str:
    requests = pending(target)
    asked = {request.version for request in requests}
    texts = [f"version {request.version} of run {request.run}" for request in requests]
    versions = registry.versions(target, None)
    texts += [
        f"version {version.number}" for version in versions if version.waiting and version.number not in asked
    ]
    return ", ".join(texts) or "nothing"


def approve(target: Target, version_or_run: str) -> ApprovalRequest | Version:
    """Let the run continue and put its model into service; or approve a version that no run waits for.

    Returns:
        What was approved.

    Raises:
        LoupeError: Nothing of that name waits, or the run no longer waits.
    """
    found = find(target, version_or_run)
    caller = _caller(target)
    if isinstance(found, Version):
        return registry.decide(target, found, APPROVED, f"approved by {caller}")
    output = json.dumps({"approved": True, "by": caller})
    _send(target, found, lambda: target.stepfunctions.send_task_success(taskToken=found.token, output=output))
    return found


def reject(target: Target, version_or_run: str, reason: str | None) -> ApprovalRequest | Version:
    """Let the run end without putting its model into service; or reject a version that no run waits for.

    Args:
        target: The stack.
        version_or_run: Which run, as `find` takes it.
        reason: For the report and the notice; None for the name of who rejected it.

    Returns:
        What was rejected.

    Raises:
        LoupeError: Nothing of that name waits, or the run no longer waits.
    """
    found = find(target, version_or_run)
    cause = reason or f"rejected by {_caller(target)}"
    if isinstance(found, Version):
        return registry.decide(target, found, REJECTED, cause)
    _send(
        target,
        found,
        lambda: target.stepfunctions.send_task_failure(taskToken=found.token, error="Rejected", cause=cause),
    )
    return found


def _send(target: Target, request: ApprovalRequest, send: Callable[[], object]) -> None:
    try:
        send()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NO_LONGER_WAITING:
            raise
        _delete(target, request)
        raise LoupeError(
            f"run {request.run} no longer waits: it was answered or stopped, or it timed out",
            "`loupe models` shows the outcome; `loupe retrain` starts another run.",
        ) from error
    _delete(target, request)


def _delete(target: Target, request: ApprovalRequest) -> None:
    """Delete a request whose token is used up; without the permission for it, the leftover does no harm."""
    with contextlib.suppress(ClientError):
        target.s3.delete_object(
            Bucket=target.output("ArtefactsBucketName"), Key=f"{APPROVALS}{request.run}.json"
        )


def _caller(target: Target) -> str:
    return target.sts.get_caller_identity()["Arn"]

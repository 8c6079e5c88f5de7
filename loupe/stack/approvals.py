"""Approve or reject the retraining runs that wait for a person's decision."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import ClientError

from contract.keys import APPROVALS
from loupe.errors import LoupeError
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


def find(target: Target, version_or_run: str) -> ApprovalRequest:
    """Return the request of a run, or the newest one for a version.

    Raises:
        LoupeError: There is no such request.
    """
    if _RUN.fullmatch(version_or_run):
        request = _read(target, f"{APPROVALS}{version_or_run}.json")
        if request:
            return request
    elif version_or_run.isdigit():
        for request in reversed(pending(target)):
            if request.version == int(version_or_run):
                return request
    else:
        raise LoupeError(
            f"{version_or_run!r} is neither a version nor a run",
            "Give a version's number, or a run's 12 characters.",
        )
    others = ", ".join(f"version {request.version} of run {request.run}" for request in pending(target))
    raise LoupeError(f"{version_or_run} does not wait for approval", f"Waiting: {others or 'nothing'}.")


def approve(target: Target, version_or_run: str) -> ApprovalRequest:
    """Let the run continue and put its model into service.

    Returns:
        The request that was approved.

    Raises:
        LoupeError: There is no such request, or the run no longer waits.
    """
    request = find(target, version_or_run)
    output = json.dumps({"approved": True, "by": _caller(target)})
    _send(
        target,
        request,
        lambda: target.stepfunctions.send_task_success(taskToken=request.token, output=output),
    )
    return request


def reject(target: Target, version_or_run: str, reason: str | None) -> ApprovalRequest:
    """Let the run end without putting its model into service.

    Args:
        target: The stack.
        version_or_run: Which run, as `find` takes it.
        reason: For the report and the notice; None for the name of who rejected it.

    Returns:
        The request that was rejected.

    Raises:
        LoupeError: There is no such request, or the run no longer waits.
    """
    request = find(target, version_or_run)
    cause = reason or f"rejected by {_caller(target)}"
    _send(
        target,
        request,
        lambda: target.stepfunctions.send_task_failure(
            taskToken=request.token, error="Rejected", cause=cause
        ),
    )
    return request


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

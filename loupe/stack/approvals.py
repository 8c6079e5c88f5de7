"""Runs of retraining that wait for a person's word."""

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
_OVER = ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken")


@dataclass(frozen=True)
class Request:
    """What a run asks: may this version of the registry serve? requested_at: ISO 8601."""

    token: str
    run: str
    version: int
    requested_at: str


def waiting(target: Target) -> list[Request]:
    """All requests, oldest first."""
    listed = target.artefacts(APPROVALS)
    found = [request for each in listed if (request := _read(target, each["Key"]))]
    return sorted(found, key=lambda request: request.requested_at)


def _read(target: Target, key: str) -> Request | None:
    document = target.document(key)
    if document is None:  # answered meanwhile
        return None
    try:
        # The version is a number, or the ARN of a package, which ends with it.
        number = int(str(document["version"]).rpartition("/")[2])
        return Request(document["token"], document["run"], number, document["requested_at"])
    except (KeyError, TypeError, ValueError) as error:
        raise LoupeError(f"{key} in the artefacts bucket is no request for approval: {error!r}") from error


def find(target: Target, which: str) -> Request:
    """The request of a run, or for a version.

    Raises:
        LoupeError: nothing of that name waits.
    """
    if _RUN.fullmatch(which):
        found = _read(target, f"{APPROVALS}{which}.json")
        if found:
            return found
    elif which.isdigit():
        for request in reversed(waiting(target)):
            if request.version == int(which):
                return request
    else:
        raise LoupeError(
            f"{which!r} is neither a version nor a run", "Give a number, or a run's 12 characters."
        )
    others = ", ".join(f"version {request.version} of run {request.run}" for request in waiting(target))
    raise LoupeError(f"{which} does not wait for approval", f"Waiting: {others or 'nothing'}.")


def approve(target: Target, which: str) -> Request:
    """Let the run go on and swap its model in.

    Raises:
        LoupeError: nothing of that name waits, or no longer.
    """
    request = find(target, which)
    output = json.dumps({"approved": True, "by": _caller(target)})
    _send(target, request, lambda: target.states.send_task_success(taskToken=request.token, output=output))
    return request


def reject(target: Target, which: str, reason: str | None) -> Request:
    """Let the run end without its model.

    Raises:
        LoupeError: nothing of that name waits, or no longer.
    """
    request = find(target, which)
    cause = reason or f"rejected by {_caller(target)}"
    _send(
        target,
        request,
        lambda: target.states.send_task_failure(taskToken=request.token, error="Rejected", cause=cause),
    )
    return request


def _send(target: Target, request: Request, send: Callable[[], object]) -> None:
    try:
        send()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _OVER:
            raise
        _forget(target, request)
        raise LoupeError(
            f"run {request.run} no longer waits: it was answered, stopped, or its time ran out",
            "`loupe models` says what became of it; `loupe retrain` starts another run.",
        ) from error
    _forget(target, request)


def _forget(target: Target, request: Request) -> None:
    """The token is worth nothing any more; a request that may not be deleted does no harm."""
    with contextlib.suppress(ClientError):
        target.s3.delete_object(
            Bucket=target.output("ArtefactsBucketName"), Key=f"{APPROVALS}{request.run}.json"
        )


def _caller(target: Target) -> str:
    return target.sts.get_caller_identity()["Arn"]

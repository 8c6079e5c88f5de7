"""Start, stop and follow executions of the stack's retrain state machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as UnreachableError

from contract.keys import APPROVALS
from contract.s3 import split
from loupe.errors import LoupeError
from loupe.stack.history import History, Step
from loupe.stack.jobs import JobProgress, Jobs
from loupe.stack.retrain_request import RetrainRequest
from loupe.stack.target import Target

_NOT_ENDED = ("RUNNING", "PENDING_REDRIVE")
_APPROVAL_STEP = "AskApproval"
# Long enough for a laptop that changes its network.
_OFFLINE_SECONDS = 300.0


def start(target: Target, request: RetrainRequest) -> str:
    """Start an execution, and return its ARN."""
    reply = target.stepfunctions.start_execution(
        stateMachineArn=target.output("RetrainStateMachineArn"), input=json.dumps(request.document())
    )
    return reply["executionArn"]


def list_running(target: Target) -> list[str]:
    """Return the ARNs of the executions that are running, newest first."""
    pages = target.stepfunctions.get_paginator("list_executions").paginate(
        stateMachineArn=target.output("RetrainStateMachineArn"), statusFilter="RUNNING"
    )
    return [execution["executionArn"] for page in pages for execution in page["executions"]]


def stop(target: Target) -> list[str]:
    """Stop every execution that is running, and with it its jobs.

    Returns:
        The ARNs of the executions.

    Raises:
        LoupeError: No execution is running.
    """
    arns = list_running(target)
    if not arns:
        raise LoupeError("no retraining is running", "`loupe retrain` starts one.")
    for arn in arns:
        target.stepfunctions.stop_execution(
            executionArn=arn, error="Stopped", cause="stopped by `loupe retrain --stop`"
        )
    return arns


def find_running(target: Target) -> str:
    """Return the ARN of the execution that trains.

    It is the oldest one: an execution that starts later ends as soon as it finds another.

    Raises:
        LoupeError: No execution is running.
    """
    arns = list_running(target)
    if not arns:
        raise LoupeError("no retraining is running", "`loupe retrain --wait` starts one and follows it.")
    return arns[-1]


@dataclass(frozen=True)
class RunProgress:
    """How far an execution is.

    Attributes:
        steps: The states of the state machine that it has reached.
        jobs: The candidates and the champion.
        run: The run's id; None until the plan is made.
        evaluation: While the run waits for approval: the S3 URI of the page about its model.
    """

    steps: list[Step]
    jobs: list[JobProgress]
    run: str | None
    evaluation: str | None = None


def follow(
    target: Target, arn: str, on_progress: Callable[[RunProgress], None], poll_every: float | None = None
) -> dict[str, Any]:
    """Wait until an execution has ended.

    Args:
        target: The stack.
        arn: The execution's ARN.
        on_progress: Receives the progress at each poll.
        poll_every: Seconds; None for 1 on the local cloud and 10 on AWS.

    Returns:
        The execution's output; if it did not succeed, its `status`, `error` and `cause`.

    Raises:
        LoupeError: AWS has not been reachable for minutes. The execution continues.
    """
    poll_every = poll_every if poll_every is not None else (1.0 if target.endpoint_url else 10.0)
    patience = 10.0 if target.endpoint_url else _OFFLINE_SECONDS
    history, jobs = History(target, arn), Jobs(target)
    last_answer, evaluation = time.monotonic(), None
    while True:
        try:
            execution = target.stepfunctions.describe_execution(executionArn=arn)
            history.read()
            plan = history.plan or {}
            run = plan.get("run")
            if run and not evaluation and history.waits_in(_APPROVAL_STEP):
                evaluation = evaluation_page(target, run)
            on_progress(RunProgress(history.steps, jobs.read(plan), run, evaluation))
        except (BotoCoreError, ClientError) as error:
            if not _is_transient(error):
                raise
            if time.monotonic() - last_answer > patience:
                raise LoupeError(
                    f"the run can no longer be followed: {error}",
                    "The run continues. Follow it again: loupe retrain --follow.",
                ) from error
        else:
            last_answer = time.monotonic()
            if execution["status"] not in _NOT_ENDED:
                return _result(dict(execution))
        time.sleep(poll_every)


def _is_transient(error: BotoCoreError | ClientError) -> bool:
    """Return whether the same request may succeed later."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or "Throttling" in error.response["Error"]["Code"]
    return isinstance(error, (UnreachableError, HTTPClientError))


def _result(execution: dict[str, Any]) -> dict[str, Any]:
    if execution["status"] == "SUCCEEDED":
        output: dict[str, Any] = json.loads(execution["output"])
        return output
    return {"status": execution["status"], "error": execution.get("error"), "cause": execution.get("cause")}


def evaluation_page(target: Target, run: str) -> str | None:
    """Return the S3 URI of the page about the model of a run that waits for approval; None if it does not wait."""
    request = target.read_json(f"{APPROVALS}{run}.json")
    uri = request.get("evaluation") if isinstance(request, dict) else None
    return str(uri) if uri else None


def fetch_page(target: Target, uri: str, folder: Path) -> Path | None:
    """Download a candidate's page.

    Args:
        target: The stack.
        uri: The page's S3 URI.
        folder: The file goes to a subfolder of it with the ids of the run and of the candidate.

    Returns:
        The file; None if the page cannot be read.
    """
    bucket, key = split(uri)
    file = folder.joinpath(*key.split("/")[-3:])
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.s3.download_file(bucket, key, str(file))
    except ClientError:
        return None
    return file


def fetch_report(target: Target, uri: str, folder: Path) -> Path | None:
    """Download a run's report and the candidates' pages that it links to.

    Args:
        target: The stack.
        uri: The report's S3 URI.
        folder: The files go to a subfolder of it with the run's id.

    Returns:
        The report's file; None if the report cannot be read.
    """
    bucket, key = split(uri)
    prefix, _, page = key.rpartition("/")
    run_folder = folder / prefix.rpartition("/")[2]
    try:
        report = target.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        keys = [entry["Key"] for entry in target.list_artefacts(f"{prefix}/")]
        for linked in (key for key in keys if key.endswith("/evaluation.html")):
            file = run_folder / linked.removeprefix(f"{prefix}/")
            file.parent.mkdir(parents=True, exist_ok=True)
            target.s3.download_file(bucket, linked, str(file))
    except ClientError:
        return None
    run_folder.mkdir(parents=True, exist_ok=True)
    (run_folder / page).write_bytes(report)
    return run_folder / page

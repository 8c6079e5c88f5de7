"""Runs of the retraining, the training, tuning and processing jobs that they start, and transform jobs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from loupe.account.holdings.scope import Item, Scope, Work, existing, is_missing

_TIMEOUT_S = 1800.0
_ENDED = ("Completed", "Failed", "Stopped", "DeleteFailed")


class _Kind(NamedTuple):
    """A kind of job: its words in the names of operations, requests and answers."""

    operation: str
    member: str
    summaries: str


# A tuning job comes first: while it runs, it starts further training jobs.
_KINDS = {
    "tuning job": _Kind(
        "hyper_parameter_tuning_job", "HyperParameterTuningJob", "HyperParameterTuningJobSummaries"
    ),
    "training job": _Kind("training_job", "TrainingJob", "TrainingJobSummaries"),
    "processing job": _Kind("processing_job", "ProcessingJob", "ProcessingJobSummaries"),
}
_TRANSFORM = _Kind("transform_job", "TransformJob", "TransformJobSummaries")
KINDS = tuple(_KINDS)


def find_runs(scope: Scope) -> list[Item]:
    """Return the runs of the state machine that have not ended."""
    client = scope.account.client("stepfunctions")
    return [
        Item("retraining run", execution["executionArn"], "runs")
        for machine in scope.names("AWS::StepFunctions::StateMachine", "RetrainStateMachineArn")
        for execution in _executions(client, machine)
    ]


def _executions(client: Any, machine: str) -> Iterator[dict[str, Any]]:
    try:
        for page in client.get_paginator("list_executions").paginate(
            stateMachineArn=machine, statusFilter="RUNNING"
        ):
            yield from page["executions"]
    except ClientError as error:
        if not is_missing(error):
            raise


def stop_run(work: Work, item: Item) -> None:
    """Stop a run, without the steps that it has for a failure."""
    existing(
        work.account.client("stepfunctions").stop_execution,
        executionArn=item.name,
        error="Destroyed",
        cause="The stack is being deleted.",
    )


def find_jobs(scope: Scope) -> list[Item]:
    """Return the stack's jobs, those that have ended too."""
    client = scope.account.client("sagemaker")
    return [
        Item(label, summary[f"{kind.member}Name"], summary[f"{kind.member}Status"])
        for label, kind in _KINDS.items()
        for unique in sorted(scope.uniques)
        for page in client.get_paginator(f"list_{kind.operation}s").paginate(NameContains=unique)
        for summary in page[kind.summaries]
        if summary[f"{kind.member}Name"].startswith(f"{unique}-")
    ]


def find_transforms(scope: Scope) -> list[Item]:
    """Return the transform jobs that run, with the stack's models or on its buckets: their names are anybody's.

    SageMaker has no operation that deletes the record of one that has ended.
    """
    client = scope.account.client("sagemaker")
    buckets = set(scope.names("AWS::S3::Bucket"))
    return [
        Item("transform job", job["TransformJobName"], job["TransformJobStatus"])
        for status in ("InProgress", "Stopping")
        for page in client.get_paginator("list_transform_jobs").paginate(StatusEquals=status)
        for summary in page[_TRANSFORM.summaries]
        if (job := existing(client.describe_transform_job, TransformJobName=summary["TransformJobName"]))
        and (scope.claims(job["ModelName"]) or buckets & set(_buckets(job)))
    ]


def _buckets(job: dict[str, Any]) -> Iterator[str]:
    source = job["TransformInput"]["DataSource"].get("S3DataSource", {}).get("S3Uri", "")
    for uri in (source, job["TransformOutput"]["S3OutputPath"]):
        yield uri.partition("://")[2].partition("/")[0]


def end_transform(work: Work, item: Item) -> None:
    """Stop a transform job, and wait until it has ended."""
    client, name = work.account.client("sagemaker"), {"TransformJobName": item.name}
    deadline = time.monotonic() + _TIMEOUT_S
    while (found := existing(client.describe_transform_job, **name)) and time.monotonic() < deadline:
        status = found["TransformJobStatus"]
        if status in _ENDED:
            return
        work.tell(f"{item.kind} {item.name}: {status}")
        if status == "InProgress":
            _stop(client, _TRANSFORM, name)
        time.sleep(work.pause)


def delete_job(work: Work, item: Item) -> None:
    """Stop a job, wait until it has ended, and delete SageMaker's record of it."""
    kind, client = _KINDS[item.kind], work.account.client("sagemaker")
    name = {f"{kind.member}Name": item.name}
    deadline = time.monotonic() + _TIMEOUT_S
    while (
        found := existing(getattr(client, f"describe_{kind.operation}"), **name)
    ) and time.monotonic() < deadline:
        status = found[f"{kind.member}Status"]
        if status in _ENDED:
            existing(getattr(client, f"delete_{kind.operation}"), **name)
            return
        work.tell(f"{item.kind} {item.name}: {status}")
        if status == "InProgress":
            _stop(client, kind, name)
        time.sleep(work.pause)


def _stop(client: Any, kind: _Kind, name: dict[str, str]) -> None:
    try:
        getattr(client, f"stop_{kind.operation}")(**name)
    except ClientError as error:
        # It has ended by itself meanwhile.
        if error.response["Error"]["Code"] != "ValidationException" and not is_missing(error):
            raise

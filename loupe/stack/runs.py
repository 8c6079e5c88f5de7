"""The retraining runs of the past, and those that are in progress."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from loupe.stack.target import Target

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

_PARALLEL_REQUESTS = 8


@dataclass(frozen=True)
class Run:
    """An execution of the retrain state machine.

    Attributes:
        execution: Its ARN.
        run: The run's id; None if the execution did not come so far.
        trigger: `schedule`, `labels`, or `hand`.
        started: When it started.
        ended: When it ended; None while it runs.
        status: Step Functions' status, such as SUCCEEDED.
        decision: promoted, restored, kept, rejected, rolled_back, nothing_new or already_running; None without
            success.
        version: The version that it registered.
        map: The best mAP of its candidates on the frozen test set.
        image_auroc: The best image AUROC of its candidates there.
        why: The first reason for the decision, or the error.
        rules: The version of the rules that it put into force.
        report: The S3 URI of its report.
    """

    execution: str
    run: str | None
    trigger: str
    started: datetime
    ended: datetime | None
    status: str
    decision: str | None
    version: int | None
    map: float | None
    image_auroc: float | None
    why: str | None
    rules: str | None
    report: str | None

    def document(self) -> dict[str, Any]:
        """Return the run for JSON."""
        return {
            **vars(self),
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat() if self.ended else None,
        }


def runs(target: Target, limit: int = 50) -> list[Run]:
    """Return the newest runs, newest first. Step Functions keeps an execution for 90 days.

    Args:
        target: The stack.
        limit: The most that are returned.
    """
    pages = target.stepfunctions.get_paginator("list_executions").paginate(
        stateMachineArn=target.output("RetrainStateMachineArn")
    )
    arns = [
        entry["executionArn"] for entry in islice((e for page in pages for e in page["executions"]), limit)
    ]
    with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
        found = pool.map(lambda arn: _run(target.stepfunctions.describe_execution(executionArn=arn)), arns)
        return sorted(found, key=lambda run: run.started, reverse=True)


def _run(execution: DescribeExecutionOutputTypeDef) -> Run:
    request, output = _object(execution.get("input")), _object(execution.get("output"))
    candidates = output.get("candidates") or []
    reasons, package = output.get("reasons") or [], output.get("package")
    rules = output.get("rules") or {}
    return Run(
        execution=execution["executionArn"],
        run=output.get("run"),
        trigger=str(request.get("trigger") or "hand"),
        started=execution["startDate"],
        ended=execution.get("stopDate"),
        status=execution["status"],
        decision=output.get("decision"),
        version=int(package.rpartition("/")[2]) if package else None,
        map=_best("map", candidates),
        image_auroc=_best("image_auroc", candidates),
        why=reasons[0] if reasons else execution.get("cause") or execution.get("error"),
        rules=rules["after"]["version"] if rules.get("applied") else None,
        report=output.get("report"),
    )


def _best(figure: str, candidates: Iterable[dict[str, Any]]) -> float | None:
    known = (candidate.get(figure) for candidate in candidates)
    return max((value for value in known if value is not None), default=None)


def _object(text: str | None) -> dict[str, Any]:
    """Return a JSON object; empty for anything else, which only a hand-made execution has."""
    try:
        document = json.loads(text or "{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}

"""Start, stop and follow executions of the stack's retrain state machine."""

from __future__ import annotations

import json
import pkgutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as UnreachableError

from contract.s3 import split
from loupe.errors import LoupeError
from loupe.stack.history import History, Step
from loupe.stack.jobs import Jobs, Line
from loupe.stack.target import Target

_AT_WORK = ("RUNNING", "PENDING_REDRIVE")
_OFFLINE_SECONDS = 300.0  # a laptop that changes its network goes on following


@dataclass(frozen=True)
class Wish:
    """What an execution is asked for; what is None or empty is left to the stack's own settings."""

    families: list[str] = field(default_factory=list)
    tune: bool = False
    tuning_jobs: int | None = None
    hyperparameters: dict[str, str] = field(default_factory=dict)
    approval: bool | None = None
    force: bool = False

    def document(self) -> dict[str, Any]:
        """The execution's input."""
        optional = {"families": self.families, "hyperparameters": self.hyperparameters}
        given: dict[str, Any] = {name: value for name, value in optional.items() if value}
        if self.tuning_jobs is not None:
            given["tuning_jobs"] = self.tuning_jobs
        if self.approval is not None:
            given["approval"] = self.approval
        return {**given, "tune": self.tune, "force": self.force, "trigger": "manual"}


def wish(
    families: str | None,
    tune: bool,
    jobs: int | None,
    epochs: int | None,
    settings: list[str],
    approval: bool | None,
    force: bool,
) -> Wish:
    """What the command line asks for, as far as it can be checked here.

    Args:
        families: names, separated by commas.
        settings: each NAME=VALUE.

    Raises:
        LoupeError: an unknown family, a setting without a value or twice, or jobs without tuning.
    """
    names = list(dict.fromkeys(each.strip() for each in (families or "").split(",") if each.strip()))
    if families is not None and not names:
        raise LoupeError("--families names no family", f"There are: {', '.join(known_families())}.")
    if unknown := [name for name in names if name not in known_families()]:
        raise LoupeError(f"unknown family {unknown[0]!r}", f"There are: {', '.join(known_families())}.")
    if jobs is not None and not tune:
        raise LoupeError("--jobs counts the jobs of a tuning", "Add --tune.")
    hyperparameters: dict[str, str] = {} if epochs is None else {"epochs": str(epochs)}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (name and equals and value):
            raise LoupeError(f"--set {setting} is no NAME=VALUE", "For example --set patience=5.")
        if name == "family":
            raise LoupeError("--set family=… is not possible", "Say --families NAME.")
        if name in hyperparameters:
            raise LoupeError(f"the hyperparameter {name} is given twice", "Give it once.")
        hyperparameters[name] = value
    return Wish(names, tune, jobs, hyperparameters, approval, force)


def known_families() -> list[str]:
    """The detector families of this checkout, by their modules' names: to import them would bring torch."""
    spec = find_spec("training")
    rooms = (spec.submodule_search_locations or []) if spec else []
    folders = [str(Path(room) / "detectors" / "families") for room in rooms]
    return sorted(module.name for module in pkgutil.iter_modules(folders))


def start(target: Target, asked: Wish) -> str:
    """Starts an execution. Returns its ARN."""
    reply = target.states.start_execution(
        stateMachineArn=target.output("RetrainStateMachineArn"), input=json.dumps(asked.document())
    )
    return reply["executionArn"]


def running(target: Target) -> list[str]:
    """The ARNs of the executions at work, newest first."""
    pages = target.states.get_paginator("list_executions").paginate(
        stateMachineArn=target.output("RetrainStateMachineArn"), statusFilter="RUNNING"
    )
    return [each["executionArn"] for page in pages for each in page["executions"]]


def stop(target: Target) -> list[str]:
    """Stops every execution at work, which stops their jobs. Returns their ARNs.

    Raises:
        LoupeError: none is at work.
    """
    arns = running(target)
    if not arns:
        raise LoupeError("no retraining is at work", "`loupe retrain` starts one.")
    for arn in arns:
        target.states.stop_execution(
            executionArn=arn, error="Stopped", cause="stopped by `loupe retrain --stop`"
        )
    return arns


def at_work(target: Target) -> str:
    """The ARN of the execution that works on the models: one that starts later ends as soon as it finds it.

    Raises:
        LoupeError: none is at work.
    """
    arns = running(target)
    if not arns:
        raise LoupeError("no retraining is at work", "`loupe retrain --wait` starts one and follows it.")
    return arns[-1]


@dataclass(frozen=True)
class Progress:
    """Where an execution is: the steps of the state machine, and the jobs of its candidates."""

    steps: list[Step]
    jobs: list[Line]
    run: str | None


def follow(
    target: Target, arn: str, on_progress: Callable[[Progress], None], poll_every: float | None = None
) -> dict[str, Any]:
    """Waits for the execution's end.

    Returns:
        Its output; where it did not succeed, its `status`, `error` and `cause`.

    Raises:
        LoupeError: AWS has been out of reach for minutes; the execution goes on.
    """
    poll_every = poll_every if poll_every is not None else (1.0 if target.endpoint_url else 10.0)
    patience = 10.0 if target.endpoint_url else _OFFLINE_SECONDS
    history, jobs = History(target, arn), Jobs(target)
    last_news = time.monotonic()
    while True:
        try:
            found = target.states.describe_execution(executionArn=arn)
            history.read()
            plan = history.plan or {}
            on_progress(Progress(history.steps, jobs.look(plan), plan.get("run")))
        except (BotoCoreError, ClientError) as error:
            if not _passes(error):
                raise
            if time.monotonic() - last_news > patience:
                raise LoupeError(
                    f"cannot be followed any longer: {error}",
                    "The execution goes on: loupe retrain --follow.",
                ) from error
        else:
            last_news = time.monotonic()
            if found["status"] not in _AT_WORK:
                return _result(dict(found))
        time.sleep(poll_every)


def _passes(error: BotoCoreError | ClientError) -> bool:
    """Whether the same question may get an answer later."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or "Throttling" in error.response["Error"]["Code"]
    return isinstance(error, (UnreachableError, HTTPClientError))


def _result(found: dict[str, Any]) -> dict[str, Any]:
    if found["status"] == "SUCCEEDED":
        output: dict[str, Any] = json.loads(found["output"])
        return output
    return {"status": found["status"], "error": found.get("error"), "cause": found.get("cause")}


def fetch_report(target: Target, uri: str, folder: Path) -> Path | None:
    """Brings the report and the candidates' pages that it links to `folder`/<run>; None if the report is gone."""
    bucket, key = split(uri)
    prefix, _, page = key.rpartition("/")
    here = folder / prefix.rpartition("/")[2]
    try:
        body = target.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        listed = [each["Key"] for each in target.artefacts(f"{prefix}/")]
        linked = [key for key in listed if key.endswith("/evaluation.html")]
        for each in linked:
            place = here / each.removeprefix(f"{prefix}/")
            place.parent.mkdir(parents=True, exist_ok=True)
            target.s3.download_file(bucket, each, str(place))
    except ClientError:
        return None
    here.mkdir(parents=True, exist_ok=True)
    (here / page).write_bytes(body)
    return here / page

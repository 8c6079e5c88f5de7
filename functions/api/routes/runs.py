"""Retraining runs: start, follow, approve, reject."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from api import aws
from api.access import CurrentCaller, Group, allow
from api.errors import conflict, invalid_request, not_found
from api.links import Links
from api.settings import Records, Retraining, Reviews
from contract.inspections import timestamp
from contract.s3 import split
from retraining.answers import Answer as PersonsAnswer
from retraining.answers import Answers
from retraining.documents import Documents
from retraining.errors import InvalidRequestError, NotWaitingError
from retraining.executions import Executions, Progress, Step, json_object
from retraining.job_progress import JobProgress, JobReader
from retraining.request import Request
from review.history import History, run_subject

router = APIGatewayHttpRouter()

_Name = Annotated[str, Path(max_length=80, pattern="^[A-Za-z0-9_-]+$")]
_STATUS = {"RUNNING": "running", "SUCCEEDED": "succeeded", "ABORTED": "stopped", "PENDING_REDRIVE": "running"}


class RunSummary(TypedDict):
    """A run in a list."""

    name: str
    run: str | None
    status: str
    trigger: str
    started_at: str
    stopped_at: str | None
    decision: str | None
    reasons: list[str]
    version: int | None
    map: float | None
    image_auroc: float | None


class Runs(TypedDict):
    """The newest runs, newest first."""

    items: list[RunSummary]


class RunStep(TypedDict):
    """A state of the state machine that the run has reached."""

    name: str
    status: str
    started_at: str
    stopped_at: str | None


class Job(TypedDict):
    """A candidate, or the champion. `curves`: metric → pairs of epoch and value."""

    name: str
    family: str | None
    status: str
    detail: str
    epoch: int | None
    epochs: int | None
    curves: dict[str, list[tuple[int, float]]]


class Run(RunSummary):
    """A run with everything that is known about it."""

    dataset: str | None
    request: dict[str, Any]
    steps: list[RunStep]
    jobs: list[Job]
    waiting_for_approval: bool
    candidates: list[dict[str, Any]]
    champion: dict[str, Any] | None
    report: str | None
    evaluation: str | None
    history: list[dict[str, Any]]


class NewRun(BaseModel):
    """What a run is asked to do. The stack's settings apply to what is left out."""

    model_config = ConfigDict(extra="forbid")

    families: list[str] = Field(default_factory=list, max_length=20)
    epochs: int | None = Field(None, ge=1, le=10_000)
    tune: bool = False
    dataset: str | None = Field(None, max_length=40)
    force: bool = False


class Answer(BaseModel):
    """A person's answer to a run that waits."""

    model_config = ConfigDict(extra="forbid")

    approve: bool
    comment: str | None = Field(None, max_length=1000)


@router.get("/runs", summary="List the retraining runs")
@allow(Group.VIEWER)
def show_all(limit: Annotated[int, Query(ge=1, le=50)] = 20) -> Runs:
    """Return the newest runs. Step Functions keeps a run for 90 days."""
    return {"items": [_summary(execution) for execution in _executions().newest(limit)]}


@router.post("/runs", summary="Start a retraining", status_code=HTTPStatus.ACCEPTED)
@allow(Group.ADMIN)
def start(new: NewRun, caller: CurrentCaller) -> Response[Any]:
    """Start a run, unless one is in progress."""
    executions = _executions()
    if running := executions.running():
        raise conflict("already_running", "A run is in progress.", [running])
    document = _document(new)
    name = executions.next_name(document, caller.name)
    # First who, then what: no run is without the person who started it. Who repeats the request finds the entry.
    if not _history().read(run_subject(name), 1):
        _history().append(
            run_subject(name), caller.name, "started", new=new.model_dump(exclude_defaults=True)
        )
    if not executions.start(name, document):
        raise conflict("already_running", "This run was started a moment ago.", [name])
    return Response(HTTPStatus.ACCEPTED, content_types.APPLICATION_JSON, {"name": name})


@router.get("/runs/<name>", summary="Follow a retraining run")
@allow(Group.VIEWER)
def show(name: _Name) -> Run:
    """Return how far a run is: its steps, its jobs with their curves, and in the end the decision."""
    execution, executions = _find(name), _executions()
    progress = executions.progress(execution["executionArn"])
    output, documents = json_object(execution.get("output")), _documents()
    waiting = execution["status"] == "RUNNING" and progress.waits_for_approval
    plan = progress.plan
    question = Answers(documents, aws.states()).find(str(plan.get("run"))) if waiting else None
    return {
        **_summary(execution),
        "run": plan.get("run") or output.get("run"),
        "dataset": (plan.get("snapshot") or output.get("snapshot") or {}).get("dataset"),
        "request": json_object(execution.get("input")),
        "steps": [_step(step) for step in progress.steps],
        "jobs": _jobs(progress),
        "waiting_for_approval": waiting,
        "candidates": output.get("candidates") or [],
        "champion": output.get("champion"),
        "report": _link(output.get("report")),
        "evaluation": _link((question or {}).get("evaluation")),
        "history": _history().read(run_subject(name)),
    }


@router.post("/runs/<name>/approval", summary="Approve or reject the model of a run")
@allow(Group.ADMIN)
def answer(name: _Name, given: Answer, caller: CurrentCaller) -> dict[str, Any]:
    """Answer a run that waits. Repeating the answer changes nothing."""
    execution = _find(name)
    progress = _executions().progress(execution["executionArn"])
    run = progress.plan.get("run")
    action = "approved" if given.approve else "rejected"

    def note(question: dict[str, Any]) -> None:
        entries = _history().read(run_subject(name))
        if not any((entry["by"], entry["action"]) == (caller.name, action) for entry in entries):
            new = {"version": question.get("version")}
            _history().append(run_subject(name), caller.name, action, new=new, comment=given.comment)

    reply = PersonsAnswer(given.approve, caller.name, given.comment)
    try:
        question = Answers(_documents(), aws.states()).give(str(run), reply, progress.answer, note)
    except NotWaitingError as error:
        raise conflict("already_answered", f"{str(error).capitalize()}.") from error
    return {"name": name, "run": run, "version": question.get("version"), "approved": given.approve}


def _document(new: NewRun) -> dict[str, Any]:
    """Return the execution's input.

    Raises:
        ApiError: A family or the data set's name is not valid.
    """
    document: dict[str, Any] = {"trigger": "manual", "tune": new.tune, "force": new.force}
    document |= {"families": new.families} if new.families else {}
    document |= {"dataset": new.dataset} if new.dataset else {}
    document |= {"hyperparameters": {"epochs": str(new.epochs)}} if new.epochs else {}
    try:
        Request.read(document)
    except InvalidRequestError as error:
        raise invalid_request("The run cannot be started.", [str(error)]) from error
    return document


def _find(name: str) -> dict[str, Any]:
    execution = _executions().find(name)
    if execution is None:
        raise not_found(f"There is no run {name}.")
    return execution


def _summary(execution: dict[str, Any]) -> RunSummary:
    request, output = json_object(execution.get("input")), json_object(execution.get("output"))
    candidates, package = output.get("candidates") or [], output.get("package")
    failure = execution.get("cause") or execution.get("error")
    stopped = execution.get("stopDate")
    return {
        "name": execution["name"],
        "run": output.get("run"),
        "status": _STATUS.get(execution["status"], "failed"),
        "trigger": str(request.get("trigger") or "manual"),
        "started_at": timestamp(execution["startDate"]),
        "stopped_at": timestamp(stopped) if stopped else None,
        "decision": output.get("decision"),
        "reasons": output.get("reasons") or ([str(failure)] if failure else []),
        "version": int(package.rpartition("/")[2]) if package else None,
        "map": _best("map", candidates),
        "image_auroc": _best("image_auroc", candidates),
    }


def _best(figure: str, candidates: Iterable[dict[str, Any]]) -> float | None:
    known = (candidate.get(figure) for candidate in candidates)
    return max((value for value in known if value is not None), default=None)


def _step(step: Step) -> RunStep:
    return {
        "name": step.name,
        "status": step.status,
        "started_at": timestamp(step.started_at),
        "stopped_at": timestamp(step.stopped_at) if step.stopped_at else None,
    }


def _jobs(progress: Progress) -> list[Job]:
    def job(read: JobProgress) -> Job:
        return {
            "name": read.name,
            "family": read.family,
            "status": read.status,
            "detail": read.detail,
            "epoch": read.epoch,
            "epochs": read.epochs,
            "curves": read.curves,
        }

    return [job(read) for read in JobReader(aws.sagemaker(), aws.logs()).read(progress.plan)]


def _link(uri: str | None) -> str | None:
    return Links(aws.s3(), Records.read().artefacts_bucket).artefact(split(uri)[1]) if uri else None


def _executions() -> Executions:
    return Executions(aws.states(), Retraining.read().state_machine_arn)


def _documents() -> Documents:
    return Documents(aws.s3(), Records.read().artefacts_bucket)


def _history() -> History:
    return History(aws.dynamodb(), Reviews.read().history_table)

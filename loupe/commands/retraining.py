"""Retraining: `retrain`, `runs`, `approve` and `reject`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loupe.commands import program_runner
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target, target_options
from loupe.commands.retrain_options import (
    Approval,
    Dataset,
    Epochs,
    Families,
    Follow,
    Force,
    Jobs,
    Settings,
    Stop,
    Tune,
    Wait,
)
from loupe.errors import LoupeError
from loupe.stack import approvals, retraining, runs
from loupe.stack.approvals import ApprovalRequest
from loupe.stack.labelled_data import require_dataset
from loupe.stack.registry import Version
from loupe.stack.retrain_request import RetrainRequest, parse_families, parse_hyperparameters
from loupe.stack.target import Target
from loupe.views.console import err, out, print_json
from loupe.views.run_progress import watch
from loupe.views.run_result import show_report, show_result
from loupe.views.runs import show_runs

app = commands()

REPORTS = Path("loupe-reports")
VersionOrRun = Annotated[
    str, typer.Argument(metavar="VERSION|RUN", help="From `loupe models`, or from the notice.")
]


@app.command(
    epilog=epilog(
        "loupe retrain --families ssdlite --wait",
        "loupe retrain --families ssdlite,dfine_nano --tune --jobs 6 --wait",
        "loupe retrain --follow",
        "loupe retrain --stop",
        statuses={1: "an error, or the run failed", 130: "Ctrl+C; the run continues"},
    )
)
def retrain(
    home: Home,
    dataset: Dataset = None,
    families: Families = None,
    tune: Tune = False,
    jobs: Jobs = None,
    epochs: Epochs = None,
    settings: Settings = None,
    approval: Approval = None,
    force: Force = False,
    wait: Wait = False,
    follow: Follow = False,
    stop: Stop = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Train new models, and switch to a better one.

    Each candidate and the model that serves are evaluated on the same frozen test set, and a gate decides.
    """
    if jobs is not None and not tune:
        raise LoupeError("--jobs is the number of jobs in a tuning", "Add --tune.")
    hyperparameters = parse_hyperparameters(epochs, settings or [])
    request = RetrainRequest(parse_families(families), tune, jobs, hyperparameters, approval, force, dataset)
    starts = wait or request != RetrainRequest()
    if stop + follow + starts > 1:
        raise LoupeError("--stop and --follow start nothing", "Use each of them alone.")
    target, options = open_target(stack, home), target_options(stack, home)
    if stop:
        _stop(target, json_)
    elif follow:
        _follow(target, retraining.find_running(target), options, json_)
    else:
        if not stack:
            # The local cloud runs the training jobs in this environment.
            program_runner.require_torch()
        if dataset is not None:
            require_dataset(target, dataset)
        arn = retraining.start(target, request)
        if wait:
            _follow(target, arn, options, json_)
        else:
            _show_started(arn, options, json_)


def _stop(target: Target, json_: bool) -> None:
    stopped = retraining.stop(target)
    if json_:
        print_json({"stopped": stopped})
    else:
        out.print(f"Stopped {', '.join(stopped)}.", soft_wrap=True)


def _show_started(arn: str, options: str, json_: bool) -> None:
    if json_:
        print_json({"execution": arn})
    else:
        out.print(f"Started {arn}", soft_wrap=True)
        out.print(f"Follow it: loupe retrain --follow{options}", soft_wrap=True)


def _follow(target: Target, arn: str, options: str, json_: bool) -> None:
    try:
        with watch(plain=json_) as on_progress:
            document = retraining.follow(target, arn, on_progress)
    except KeyboardInterrupt:
        _explain_interrupt(target, arn, options)
        raise typer.Exit(130) from None
    if json_:
        print_json(document)
    else:
        show_result(document, options)
    if uri := document.get("report"):
        show_report(uri, retraining.fetch_report(target, uri, REPORTS), quiet=json_)
    if document["status"] != "SUCCEEDED":
        raise typer.Exit(1)


def _explain_interrupt(target: Target, arn: str, options: str) -> None:
    err.print(f"The run continues. Follow it: loupe retrain --follow{options}", soft_wrap=True)
    on_aws = "" if target.endpoint_url else f", or aws stepfunctions stop-execution --execution-arn {arn}"
    err.print(f"Stop it: loupe retrain --stop{options}{on_aws}", soft_wrap=True)


@app.command("runs", epilog=epilog("loupe runs", "loupe runs --limit 5 --json | jq '.runs[0].why'"))
def list_runs(
    home: Home,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """List the retraining runs, newest first."""
    past = runs.runs(open_target(stack, home), limit)
    if json_:
        print_json({"runs": [run.document() for run in past]})
    else:
        show_runs(past)


@app.command(epilog=epilog("loupe approve 4", "loupe approve 0123456789ab"))
def approve(version_or_run: VersionOrRun, home: Home, stack: Stack = None, json_: Json = False) -> None:
    """Let a waiting run put its model into service.

    Prints where the evaluation of the model is, which `loupe retrain --follow` shows before. A version that no run
    waits for, such as one that the SageMaker SDK registered, is approved in the registry.
    """
    target = open_target(stack, home)
    answered = approvals.approve(target, version_or_run)
    if isinstance(answered, Version):
        next_step = f" To serve it: loupe rollback {answered.number}{target_options(stack, home)}"
        _show_decision(answered, "approved", next_step, json_)
    else:
        _show_answer(target, answered, "approved", json_)


@app.command(epilog=epilog("loupe reject 4 --reason 'misses short scratches'"))
def reject(
    version_or_run: VersionOrRun,
    home: Home,
    reason: Annotated[str | None, typer.Option(help="For the report and the notice.")] = None,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Let a waiting run end without its model.

    A version that no run waits for is rejected in the registry.
    """
    target = open_target(stack, home)
    answered = approvals.reject(target, version_or_run, reason)
    if isinstance(answered, Version):
        _show_decision(answered, "rejected", "", json_)
    else:
        _show_answer(target, answered, "rejected", json_)


def _show_decision(version: Version, answer: str, next_step: str, json_: bool) -> None:
    if json_:
        print_json({"run": None, "version": version.number, "answer": answer, "evaluation": None})
        return
    out.print(
        f"Version {version.number} is {answer} in the registry; no run waits for it.{next_step}",
        soft_wrap=True,
    )


def _show_answer(target: Target, request: ApprovalRequest, answer: str, json_: bool) -> None:
    if json_:
        document = {"run": request.run, "version": request.version, "answer": answer}
        print_json(document | {"evaluation": request.evaluation})
        return
    out.print(f"Version {request.version} of run {request.run} is {answer}; the run continues.")
    if request.evaluation:
        page = retraining.fetch_page(target, request.evaluation, REPORTS)
        out.print(f"Its evaluation: {page or request.evaluation}", soft_wrap=True)

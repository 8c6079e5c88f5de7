"""The commands around learning: labelled images in, retraining, the registry, approval and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from loupe.commands import processes as programs
from loupe.commands.options import PASSED_ON, Home, Json, Stack, chosen
from loupe.errors import LoupeError
from loupe.stack import approvals, registry, retraining
from loupe.stack import endpoint as models
from loupe.stack import labelled_data as labelled
from loupe.stack.target import Target, default_home
from loupe.views import retraining as view
from loupe.views import terminal as show

app = typer.Typer()

REPORTS = Path("loupe-reports")
Which = Annotated[
    str, typer.Argument(metavar="VERSION|RUN", help="As `loupe models` or the notice names it.")
]


@app.command("import", add_help_option=False, context_settings=PASSED_ON)
def import_(context: typer.Context, home: Home, stack: Stack = None) -> None:
    """Bring in labelled images of any usual format, check them, and take a snapshot: import PATH [--check]."""
    source = context.get_parameter_source("home")
    asked_for = source is not None and source.name == "COMMANDLINE"
    call = labelled.prepare(context.args, stack, home, asked_for)
    if call.cloud:
        whose = f"the stack {stack}" if stack else "the local cloud"
        show.err.print(f"The snapshot goes to {escape(call.cloud)} of {whose}.", soft_wrap=True)
    raise typer.Exit(programs.run("training.imports", call.arguments, call.environment))


@app.command()
def retrain(
    home: Home,
    families: Annotated[
        str | None, typer.Option(metavar="A,B", help="Detector families; the stack's own without it.")
    ] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Tune each family's hyperparameters, too.")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=100, help="With --tune: training jobs a family.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of every training.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A hyperparameter; may be repeated."),
    ] = None,
    approval: Annotated[
        bool | None,
        typer.Option(
            "--approval/--no-approval", help="Whether a person must approve; the stack decides without it."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Train although nothing is new.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Start none: follow the run at work.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Start none: stop the run at work.")] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Train anew, measure against the model that serves, and swap a better one in."""
    asked = retraining.wish(families, tune, jobs, epochs, settings or [], approval, force)
    if stop + follow + (wait or asked != retraining.Wish()) > 1:
        raise LoupeError("--stop and --follow start nothing", "Give each of them alone.")
    target = chosen(stack, home)
    if stop:
        stopped = retraining.stop(target)
        if json_:
            show.as_json({"stopped": stopped})
        else:
            show.out.print(f"Stopped {', '.join(stopped)}.", soft_wrap=True)
        return
    if not (stack or follow):
        programs.need_torch()  # on a laptop the jobs run in this environment
    arn = retraining.at_work(target) if follow else retraining.start(target, asked)
    if wait or follow:
        _follow(target, arn, _where(stack, home), json_)
    elif json_:
        show.as_json({"execution": arn})
    else:
        show.out.print(f"Started {arn}", soft_wrap=True)
        show.out.print(f"Follow it: loupe retrain --follow{_where(stack, home)}", soft_wrap=True)


def _where(stack: str | None, home: Path) -> str:
    """The options that lead another command to the same place."""
    return f" --stack {stack}" if stack else f" --home {home}" if home != default_home() else ""


def _follow(target: Target, arn: str, where: str, json_: bool) -> None:
    try:
        with view.watch(plain=json_) as on_progress:
            document = retraining.follow(target, arn, on_progress)
    except KeyboardInterrupt:
        show.err.print(f"The run goes on. Follow it: loupe retrain --follow{where}", soft_wrap=True)
        by_hand = (
            "" if target.endpoint_url else f", or aws stepfunctions stop-execution --execution-arn {arn}"
        )
        show.err.print(f"Stop it: loupe retrain --stop{where}{by_hand}", soft_wrap=True)
        raise typer.Exit(130) from None
    if json_:
        show.as_json(document)
    else:
        view.result(document)
    if uri := document.get("report"):
        view.report(uri, retraining.fetch_report(target, uri, REPORTS), json_)
    if document["status"] != "SUCCEEDED":
        raise typer.Exit(1)


@app.command("models")
def models_(home: Home, stack: Stack = None, json_: Json = False) -> None:
    """The versions of the model, newest first, and which one serves."""
    target = chosen(stack, home)
    now = models.serving(target)
    found = registry.versions(target, now)
    group, serves = target.output("ModelPackageGroupName"), now.name if now else None
    if json_:
        documents = [version.document() for version in found]
        show.as_json({"group": group, "endpoint_model": serves, "versions": documents})
    else:
        view.versions(found, group, serves)


@app.command()
def rollback(
    home: Home,
    version: Annotated[int | None, typer.Argument(help="Without it: what served before.", min=1)] = None,
    force: Annotated[bool, typer.Option("--force", help="Also a version that nobody approved.")] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Return the endpoint to an earlier version; the present one serves until that is ready."""
    target = chosen(stack, home)
    with show.err.status("rolling back") as status:
        done = registry.rollback(target, version, force, status.update)
    endpoint = target.output("EndpointName")
    if json_:
        show.as_json(
            {"endpoint": endpoint, "model": done.model, "version": done.version, "changed": done.changed}
        )
        return
    what = f"version {done.version} ({done.model})" if done.version else done.model
    show.out.print(f"{endpoint} {'serves' if done.changed else 'served already'} {what}.", soft_wrap=True)


@app.command()
def approve(which: Which, home: Home, stack: Stack = None, json_: Json = False) -> None:
    """Let a run that waits put its model into service."""
    _answered(approvals.approve(chosen(stack, home), which), "approved", json_)


@app.command()
def reject(
    which: Which,
    home: Home,
    reason: Annotated[str | None, typer.Option(help="For the report and the notice.")] = None,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Let a run that waits end without its model."""
    _answered(approvals.reject(chosen(stack, home), which, reason), "rejected", json_)


def _answered(request: approvals.Request, word: str, json_: bool) -> None:
    answer: dict[str, Any] = {"run": request.run, "version": request.version, "answer": word}
    if json_:
        show.as_json(answer)
    else:
        show.out.print(f"Version {request.version} of run {request.run} is {word}; the run goes on.")

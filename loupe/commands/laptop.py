"""The local cloud: `up`, `down` and `reset`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from contract.text import counted
from localcloud import stop
from localcloud.cloud import LocalCloud
from localcloud.home.reset import parts, reset
from localcloud.signals import StopSignals
from loupe.commands import interrupts
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, target_options
from loupe.errors import LoupeError
from loupe.stack import dashboard, deployment, detached, endpoint, trial
from loupe.stack.feed import Feed
from loupe.stack.target import Target
from loupe.views import feed as feed_view
from loupe.views.console import err, out, print_json

app = commands()

# After a failed look at what has happened.
_PAUSE_SECONDS = 5.0


@app.command(
    epilog=epilog(
        "loupe up",
        "loupe up --detach",
        "loupe up --model runs/first/model.tar.gz --port 4566",
        "loupe up --empty --detach",
    )
)
def up(
    home: Home,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The model.tar.gz to serve. Without it: the starter model, if none serves yet.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="A port on 127.0.0.1. Without it: one that is free."),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Start in the background.")] = False,
    empty: Annotated[
        bool,
        typer.Option(
            "--empty", help="Deploy nothing: an empty AWS account, for `loupe cloud create --local`."
        ),
    ] = False,
    json_: Json = False,
) -> None:
    """Start the local cloud, and print what needs attention.

    Runs until Ctrl+C or `loupe down`. Prints defects and doubtful parts with their framed picture, alarms, and
    the notices of retraining runs. The state is kept, and the next `loupe up` continues with it.
    """
    if empty and model:
        raise LoupeError("--empty deploys nothing, so no --model either", "Leave one of them out.")
    if detach:
        _show_detached(detached.start(home, model, port, empty), home, empty, json_)
        return
    StopSignals().install()
    try:
        if empty:
            _run_empty(home, port, json_)
        else:
            _run(home, model, port, json_)
    except KeyboardInterrupt:
        if not json_:
            err.print("Stopped. The state is kept, and the next `loupe up` continues with it.")


def _run(home: Path, model: Path | None, port: int | None, json_: bool) -> None:
    tried = trial.run(model, [], force=False).text if model else None
    with err.status("starting the local cloud") as status, LocalCloud(home, port) as cloud:
        status.update("deploying template.yaml")
        cloud.deploy()
        target = Target.local(home)
        if model or not endpoint.exists(target):
            archive = model or deployment.STARTER
            deployment.deploy(target, archive, deployment.Hosting(), status.update, trial=tried)
        feed = Feed(target, home)
        status.stop()
        if json_:
            print_json(
                {
                    "endpoint_url": target.endpoint_url,
                    "dashboard": dashboard.sign_in_link(home),
                    "home": str(home),
                    "outputs": target.outputs,
                    "inspected_again": cloud.connection.inspected_again,
                }
            )
        else:
            options = target_options(None, home)
            out.print(f"Loupe is running on {target.endpoint_url}; its state is in {home}.", soft_wrap=True)
            _show_inspected_again(cloud.connection.inspected_again)
            _show_dashboard(home)
            out.print(f"In another shell: loupe drop LINE/STATION --wait{options}", soft_wrap=True)
            out.print("What needs attention appears here. Ctrl+C stops Loupe.")
        sys.stdout.flush()
        cloud.on_step = lambda step: err.print(f"stopping: {step}", soft_wrap=True)
        cloud.on_notice = lambda notice: err.print(notice, soft_wrap=True)
        _print_feed(feed, json_)


def _run_empty(home: Path, port: int | None, json_: bool) -> None:
    """Run the local cloud until Ctrl+C, and deploy nothing."""
    with err.status("starting the local cloud") as status, LocalCloud(home, port) as cloud:
        status.stop()
        address = cloud.connection.endpoint_url
        if json_:
            print_json({"endpoint_url": address, "home": str(home)})
        else:
            out.print(f"Loupe is running on {address}; its state is in {home}.", soft_wrap=True)
            _show_empty(home)
            out.print("Ctrl+C stops it.")
        sys.stdout.flush()
        cloud.on_step = lambda step: err.print(f"stopping: {step}", soft_wrap=True)
        cloud.on_notice = lambda notice: err.print(notice, soft_wrap=True)
        # Not without a limit: Python handles signals only between calls.
        while True:
            time.sleep(_PAUSE_SECONDS)


def _show_empty(home: Path) -> None:
    out.print("It is an AWS account of its own, and nothing was deployed into it now.")
    where = target_options(None, home)
    out.print(f"Next, as on AWS: loupe cloud create --stack trial --local{where}", soft_wrap=True)


def _print_feed(feed: Feed, json_: bool) -> None:
    """Print what happens, without end. A failed look does not stop the cloud."""
    while True:
        try:
            for event in feed.receive(wait_seconds=2):
                feed_view.show(event, json_)
        except (BotoCoreError, ClientError, LoupeError) as error:
            err.print(f"what happens cannot be read: {error}", soft_wrap=True)
            time.sleep(_PAUSE_SECONDS)


def _show_detached(process: detached.Detached, home: Path, empty: bool, json_: bool) -> None:
    if json_:
        document = {
            "pid": process.pid,
            "endpoint_url": process.endpoint_url,
            "home": str(home),
            "inspected_again": process.inspected_again,
        }
        print_json(document if empty else document | {"dashboard": dashboard.sign_in_link(home)})
        return
    options = target_options(None, home)
    out.print(f"Loupe is running on {process.endpoint_url}, in process {process.pid}.", soft_wrap=True)
    _show_inspected_again(process.inspected_again)
    if empty:
        _show_empty(home)
        out.print(f"Stop: loupe down{options}", soft_wrap=True)
        return
    _show_dashboard(home)
    out.print(f"Alerts and alarms: {process.log}", soft_wrap=True)
    out.print(f"Next: loupe drop LINE/STATION --wait{options}. Stop: loupe down{options}", soft_wrap=True)


def _show_inspected_again(images: int) -> None:
    if images:
        are = "is" if images == 1 else "are"
        out.print(
            f"{counted(images, 'image')} {are} inspected again: Loupe was killed before they were saved.",
            soft_wrap=True,
        )


def _show_dashboard(home: Path) -> None:
    out.print(
        f"The dashboard, signed in once within ten minutes: {dashboard.sign_in_link(home)}", soft_wrap=True
    )


@app.command(epilog=epilog("loupe down"))
def down(home: Home, json_: Json = False) -> None:
    """Stop the local cloud; its state is kept.

    A retraining run that is in progress continues at the next `loupe up`.
    """
    with (
        interrupts.explained("The local cloud goes on stopping. See: loupe status"),
        err.status("stopping") as status,
    ):
        pid = stop(home, on_step=status.update)
    if json_:
        print_json({"stopped": pid})
    else:
        out.print("The local cloud has stopped. Its state is kept; start again: loupe up")


@app.command(
    "reset", epilog=epilog("loupe reset", "loupe reset --yes", statuses={1: "an error, or not confirmed"})
)
def reset_home(
    home: Home,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    json_: Json = False,
) -> None:
    """Delete the local cloud's state.

    That is: images, inspections, models, labels, rules and logs. Asks first.
    """
    if not parts(home):
        if json_:
            print_json({"deleted": []})
        else:
            out.print(f"There is nothing to delete in {home}.", soft_wrap=True)
        return
    if not yes:
        if not sys.stdin.isatty():
            raise LoupeError(f"this deletes the state in {home}, and nobody can be asked", "Add --yes.")
        typer.confirm(f"Delete the state in {home}? It cannot be restored.", abort=True, err=True)
    deleted = [str(path) for path in reset(home)]
    if json_:
        print_json({"deleted": deleted})
    else:
        out.print(f"Deleted {len(deleted)} files and folders in {home}.", soft_wrap=True)

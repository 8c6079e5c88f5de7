"""The local cloud: `demo`, `up` and `down`."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.markup import escape

from localcloud import LocalCloud, connection
from loupe.commands.options import Home, Json
from loupe.errors import LoupeError
from loupe.stack import deployment, endpoint
from loupe.stack.alert_inbox import AlertInbox
from loupe.stack.demo import DemoReport, run_demo
from loupe.stack.target import Target
from loupe.views.console import err, out, print_json, progress_bar
from loupe.views.inspections import show_alert, show_inspections

app = typer.Typer()

_STOP_SECONDS = 60


@app.command()
def demo(
    json_: Json = False,
    pictures: Annotated[Path, typer.Option(help="The folder for the annotated pictures.")] = Path(
        "loupe-demo"
    ),
) -> None:
    """Inspect the sample images in a temporary local cloud."""
    with progress_bar() as bar:
        task = bar.add_task("starting", total=None)
        report = run_demo(
            pictures,
            on_status=lambda status: bar.update(task, description=status),
            on_total=lambda total: bar.update(task, total=total),
            on_record=lambda _: bar.advance(task),
        )
    summary = report.summary()
    if json_:
        files = [str(path) for path in report.pictures]
        print_json({**summary, "records": report.records, "pictures": files})
    else:
        _show_demo(report, pictures)
    if report.lost or summary["alerts"] != summary["fail"]:
        raise typer.Exit(1)


def _show_demo(report: DemoReport, pictures: Path) -> None:
    show_inspections(report.records, "Verdicts")
    if report.alerts:
        out.print(f"\nOne of the {len(report.alerts)} alerts, as a subscriber of the defects topic gets it:")
        show_alert(report.alerts[0])
    out.print(f"Annotated pictures: {pictures.resolve()} ({len(report.pictures)} files)")
    # Programs read the last line, so it must not be wrapped and must not contain markup.
    figures = " ".join(f"{name}={value}" for name, value in report.summary().items())
    sys.stdout.write(f"demo: {figures}\n")


@app.command()
def up(
    home: Home,
    model: Annotated[
        Path | None,
        typer.Option(help="The model.tar.gz to serve. Without it: the starter model, if none serves yet."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="A port on 127.0.0.1. Without it: one that is free.")
    ] = None,
    json_: Json = False,
) -> None:
    """Start the local cloud, and print alerts as they arrive, until Ctrl+C or `loupe down`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with err.status("starting the local cloud") as status, LocalCloud(home, port) as cloud:
        status.update("deploying template.yaml")
        cloud.deploy()
        target = Target.local(home)
        if model or not endpoint.exists(target):
            archive = model or deployment.STARTER
            deployment.deploy(target, archive, deployment.Hosting(), status.update)
        inbox = AlertInbox(target)
        status.stop()
        if json_:
            print_json({"endpoint_url": target.endpoint_url, "home": str(home), "outputs": target.outputs})
        else:
            out.print(f"Loupe is running on {target.endpoint_url}; its state is in {home}.")
            out.print("In another shell: loupe drop FOLDER --wait. Alerts appear here. Ctrl+C stops Loupe.")
        sys.stdout.flush()
        try:
            _print_alerts(inbox, json_)
        except KeyboardInterrupt:
            err.print("stopping; the state is kept, and the next `loupe up` continues with it")


def _print_alerts(inbox: AlertInbox, json_: bool) -> None:
    """Print each alert as it arrives, without end."""
    while True:
        for envelope in inbox.receive(wait_seconds=2):
            if json_:
                print_json({"alert": envelope})
            else:
                out.print(f"[bold red]ALERT[/] {escape(envelope.get('Subject', ''))}")
            sys.stdout.flush()


@app.command()
def down(home: Home, json_: Json = False) -> None:
    """Stop the local cloud that runs on this home; its state is kept."""
    cloud = connection(home)
    psutil.Process(cloud.pid).terminate()
    deadline = time.monotonic() + _STOP_SECONDS
    while cloud.alive():
        if time.monotonic() > deadline:
            raise LoupeError(
                f"process {cloud.pid} did not stop within {_STOP_SECONDS} s", f"Run: kill -9 {cloud.pid}"
            )
        time.sleep(0.1)
    if json_:
        print_json({"stopped": cloud.pid})
    else:
        out.print("The local cloud has stopped.")

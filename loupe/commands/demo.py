"""`loupe demo`."""

from __future__ import annotations

import contextlib
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from localcloud.signals import StopSignals
from loupe.commands import interrupts
from loupe.commands.help import commands, epilog
from loupe.commands.options import Json
from loupe.stack import dashboard
from loupe.stack.demo import DemoReport, run_demo
from loupe.views.console import out, print_json, progress_bar
from loupe.views.inspections import show_alert, show_inspections

app = commands()


@app.command(
    epilog=epilog(
        "loupe demo",
        "loupe demo --keep",
        "loupe demo --json",
        statuses={1: "an error, or an image or alert was lost"},
    )
)
def demo(
    json_: Json = False,
    pictures: Annotated[
        Path, typer.Option(metavar="FOLDER", help="For the pictures with the defects framed.")
    ] = Path("loupe-demo"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Then show the images in the dashboard, until Ctrl+C.")
    ] = False,
) -> None:
    """Inspect the sample images in a temporary local cloud.

    Takes about ten seconds, and leaves only the pictures. The last line of the output is the result. With --keep the
    cloud runs on, for a look at its dashboard.
    """
    StopSignals().install()

    def show(report: DemoReport, home: Path) -> None:
        bar.stop()
        _show(report, pictures, json_)
        _keep(home, json_)

    with (
        interrupts.explained("Stopped. The temporary cloud is deleted; run the demo again: loupe demo"),
        progress_bar() as bar,
    ):
        task = bar.add_task("starting", total=None)
        report = run_demo(
            pictures,
            on_status=lambda status: bar.update(task, description=status),
            on_total=lambda total: bar.update(task, total=total),
            on_record=lambda _: bar.advance(task),
            on_done=show if keep else lambda report, home: None,
        )
    if not keep:
        _show(report, pictures, json_)
    summary = report.summary()
    if report.lost or summary["alerts"] != summary["fail"]:
        raise typer.Exit(1)


def _keep(home: Path, json_: bool) -> None:
    """Let the cloud run until Ctrl+C."""
    link = dashboard.sign_in_link(home)
    if json_:
        print_json({"dashboard": link})
    else:
        out.print(f"The dashboard, signed in once within ten minutes: {link}", soft_wrap=True)
        out.print("Ctrl+C stops the demo, and deletes its cloud.")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


def _show(report: DemoReport, pictures: Path, json_: bool) -> None:
    if json_:
        files = [str(path) for path in report.pictures]
        print_json({**report.summary(), "records": report.records, "pictures": files})
    else:
        _show_demo(report, pictures)


def _show_demo(report: DemoReport, pictures: Path) -> None:
    show_inspections(report.records, "Verdicts")
    if report.alerts:
        out.print(f"\nOne of the {len(report.alerts)} alerts, as a subscriber of the defects topic gets it:")
        show_alert(report.alerts[0].envelope)
    out.print(
        f"Pictures with the defects framed: {pictures.resolve()} ({len(report.pictures)} files)",
        soft_wrap=True,
    )
    out.print("Next, these images in the dashboard: loupe demo --keep; with your own: loupe up")
    # Programs read the last line, so it must not be wrapped.
    figures = " ".join(f"{name}={value}" for name, value in report.summary().items())
    sys.stdout.write(f"demo: {figures}\n")

"""`loupe demo`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from localcloud.signals import StopSignals
from loupe.commands import interrupts
from loupe.commands.help import commands, epilog
from loupe.commands.options import Json
from loupe.stack.demo import DemoReport, run_demo
from loupe.views.console import out, print_json, progress_bar
from loupe.views.inspections import show_alert, show_inspections

app = commands()


@app.command(
    epilog=epilog("loupe demo", "loupe demo --json", statuses={1: "an error, or an image or alert was lost"})
)
def demo(
    json_: Json = False,
    pictures: Annotated[
        Path, typer.Option(metavar="FOLDER", help="For the pictures with the defects framed.")
    ] = Path("loupe-demo"),
) -> None:
    """Inspect the sample images in a temporary local cloud.

    Takes about ten seconds, and leaves only the pictures. The last line of the output is the result.
    """
    StopSignals().install()
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
        show_alert(report.alerts[0].envelope)
    out.print(
        f"Pictures with the defects framed: {pictures.resolve()} ({len(report.pictures)} files)",
        soft_wrap=True,
    )
    out.print("Next, with your own images: loupe up")
    # Programs read the last line, so it must not be wrapped.
    figures = " ".join(f"{name}={value}" for name, value in report.summary().items())
    sys.stdout.write(f"demo: {figures}\n")

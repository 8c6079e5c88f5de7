"""Images and their inspections: `drop` and `inspections`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.inspections import RARE_VERDICTS, Verdict
from loupe.commands.options import Home, Json, Line, Stack, open_target
from loupe.errors import LoupeError
from loupe.stack import inspections, uploads
from loupe.stack.inspections import Inspection
from loupe.stack.uploads import Identity, Upload
from loupe.views.console import out, print_json, progress_bar
from loupe.views.inspections import show_inspections

app = typer.Typer()


@app.command()
def drop(
    paths: Annotated[list[Path], typer.Argument(help="Image files, folders, or zips.")],
    home: Home,
    line: Line = None,
    station: Annotated[str | None, typer.Option(help="The station on the line.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the images to their verdicts.")] = False,
    patience: Annotated[
        float, typer.Option(help="With --wait: stop after so many seconds without a new record.", min=1)
    ] = 120,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Upload images as a camera would. Line and station: from the options, or from the last two folders."""
    target = open_target(stack, home)
    sources, skipped = uploads.find_images(paths, line, station)
    records: dict[Identity, Inspection] | None = None
    with progress_bar() as bar:
        task = bar.add_task("uploading", total=len(sources))
        uploaded = uploads.upload(target, sources, lambda _: bar.advance(task))
        if wait:
            task = bar.add_task("inspecting", total=len(uploaded))
            records = uploads.follow(target, uploaded, lambda _: bar.advance(task), patience)
    if json_:
        print_json(_drop_document(uploaded, skipped, records))
    else:
        if records:
            show_inspections(records.values(), "Verdicts")
        out.print(f"{len(uploaded)} images uploaded, {skipped} other files skipped.")
    if records is not None and len(records) < len(uploaded):
        raise LoupeError(
            f"{len(uploaded) - len(records)} of {len(uploaded)} images have no record, "
            f"and none has arrived for {patience:.0f} s",
            "Is there an endpoint (loupe deploy MODEL)? Check the alarms and the dead-letter queue.",
        )


def _drop_document(
    uploaded: list[Upload], skipped: int, records: dict[Identity, Inspection] | None
) -> dict[str, Any]:
    """Return what `drop --json` prints; `records` is None without --wait."""
    document: dict[str, Any] = {"dropped": len(uploaded), "passed_over": skipped}
    if records is None:
        images = [{"image": upload.image, "version_id": upload.version_id} for upload in uploaded]
        return document | {"images": images}
    in_order = [records[upload.identity] for upload in uploaded if upload.identity in records]
    return document | {"lost": len(uploaded) - len(records), "records": in_order}


@app.command("inspections")
def list_inspections(
    home: Home,
    line: Line = None,
    verdict: Annotated[str | None, typer.Option(help="pass, fail, review or unreadable.")] = None,
    since: Annotated[str, typer.Option(help="15m, 2h or 7d ago, or an ISO 8601 time.")] = "24h",
    until: Annotated[str, typer.Option(help="As --since.")] = "0s",
    limit: Annotated[int, typer.Option(min=1)] = 50,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """List inspections, newest first. Without --line: those that need attention, of all lines."""
    if verdict not in (None, Verdict.PASS, *RARE_VERDICTS):
        raise LoupeError(f"{verdict!r} is not a verdict", "Use pass, fail, review or unreadable.")
    now = datetime.now(UTC)
    begin, end = inspections.parse_time(since, now), inspections.parse_time(until, now)
    records = inspections.query(
        open_target(stack, home), line=line, verdict=verdict, since=begin, until=end, limit=limit
    )
    if json_:
        print_json({"inspections": records, "count": len(records)})
        return
    verdicts = verdict or ("all verdicts" if line else "fail, review and unreadable (passes: --line NAME)")
    show_inspections(records, f"{line or 'All lines'}, {verdicts}, since {begin:%Y-%m-%d %H:%M} UTC")

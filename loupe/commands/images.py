"""Images and their inspections: `drop`, `inspections` and `open`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.inspections import RARE_VERDICTS, Verdict
from contract.keys import place
from contract.s3 import split
from contract.spreadsheets import csv_text
from contract.text import counted
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Line, Stack, open_target, target_options
from loupe.errors import LoupeError
from loupe.stack import inspections, pictures, uploads
from loupe.stack.inspections import Filter, Inspection
from loupe.stack.skipped import Skipped
from loupe.stack.uploads import Identity, Upload
from loupe.stack.waiting import Cause, why_waiting
from loupe.views.console import err, out, print_json, progress_bar
from loupe.views.inspections import explanation, show_inspections

app = commands()

Station = Annotated[str | None, typer.Option(metavar="NAME", help="The station on the line.")]
Since = Annotated[
    str, typer.Option(metavar="TIME", help="15m, 2h or 7d ago, or 2026-01-31T08:00 (local time).")
]
Until = Annotated[str, typer.Option(metavar="TIME", help="As --since.")]


@app.command(
    epilog=epilog(
        "loupe drop line-1/top --wait",
        "loupe drop photos --line press-2 --station front",
        "loupe drop batch.zip --wait --json | jq .records",
        statuses={1: "an error, or an image has no verdict yet"},
    )
)
def drop(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Image files, folders, or zips.")],
    home: Home,
    line: Line = None,
    station: Station = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the images to their verdicts.")] = False,
    patience: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="With --wait: stop after so long without a new record.", min=1),
    ] = 120,
    zip_names: Annotated[
        str | None,
        typer.Option(metavar="CODEPAGE", help="Of the names in a zip that does not state it, such as cp850."),
    ] = None,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Upload images as a camera would.

    With --wait, also follow them to their verdicts. An image's line and station are the two folders that it is in:
    .../LINE/STATION/IMAGE, in the path as you give it, or in the zip. --line and --station replace them for all
    images. An image without them is refused. Hidden files, thumbnails and sidecars (.json, .xml, .txt, ...) are
    skipped, and counted.
    """
    sources, skipped = uploads.find_images(paths, line, station, zip_names)
    target = open_target(stack, home)
    uploaded: list[Upload] = []
    records: dict[Identity, Inspection] = {}
    try:
        with progress_bar() as bar:
            task = bar.add_task("uploading", total=len(sources))

            def on_upload(upload: Upload) -> None:
                uploaded.append(upload)
                bar.advance(task)

            uploads.upload(target, sources, on_upload)
            if wait:
                task = bar.add_task("inspecting", total=len(uploaded))

                def on_record(record: Inspection) -> None:
                    records[record["image"], record["version_id"]] = record
                    bar.advance(task)

                uploads.follow(target, uploaded, on_record, patience, on_wait=_show_cause)
    except KeyboardInterrupt:
        _explain_interrupt(len(sources), uploaded, records if wait else None, target_options(stack, home))
        raise typer.Exit(130) from None
    if json_:
        print_json(_drop_document(uploaded, skipped, records if wait else None))
    else:
        if records:
            show_inspections((records[u.identity] for u in uploaded if u.identity in records), "Verdicts")
        _show_places(uploaded, skipped)
    if wait and len(records) < len(uploaded):
        cause = why_waiting(target, min(upload.uploaded_at for upload in uploaded))
        missing = f"{len(uploaded) - len(records)} of {len(uploaded)} images have no verdict yet"
        raise LoupeError(
            f"{missing}: {cause.message}" if cause else f"{missing}, and none came for {patience:.0f} s",
            cause.hint if cause else f"They are not lost. See: loupe status{target_options(stack, home)}",
        )


def _show_cause(cause: Cause) -> None:
    err.print(f"waiting: {cause.message}", soft_wrap=True)
    if cause.hint:
        err.print(f"         {cause.hint}", soft_wrap=True)


def _show_places(uploaded: list[Upload], skipped: Skipped) -> None:
    """Print to which line and station the images went, because it comes from the names of folders."""
    places = [place(split(upload.image)[1]) for upload in uploaded]
    for (line, station), count in Counter((where.line, where.station) for where in places).items():
        out.print(f"{counted(count, 'image')} to line {line}, station {station}", soft_wrap=True)
    others = f", skipped: {skipped.sentence()}" if skipped.total else ""
    out.print(f"{counted(len(uploaded), 'image')} uploaded{others}.", soft_wrap=True)


def _explain_interrupt(
    total: int, uploaded: list[Upload], records: dict[Identity, Inspection] | None, options: str
) -> None:
    if len(uploaded) < total:
        err.print(f"Stopped: {len(uploaded)} of {total} images are uploaded, and get their verdicts.")
        err.print("The same command uploads all of them again, as new versions.")
    else:
        verdicts = f", {len(records)} have a verdict" if records is not None else ""
        err.print(
            f"Stopped waiting: all {total} images are uploaded{verdicts}; the rest follows without you."
        )
    err.print(f"See the verdicts: loupe inspections --line NAME --since 1h{options}", soft_wrap=True)


def _drop_document(
    uploaded: list[Upload], skipped: Skipped, records: dict[Identity, Inspection] | None
) -> dict[str, Any]:
    """Return what `drop --json` prints; `records` is None without --wait."""
    document: dict[str, Any] = {
        "dropped": len(uploaded),
        "passed_over": skipped.total,
        "skipped": skipped.by_kind(),
    }
    if records is None:
        images = [{"image": upload.image, "version_id": upload.version_id} for upload in uploaded]
        return document | {"images": images}
    in_order = [records[upload.identity] for upload in uploaded if upload.identity in records]
    return document | {"lost": len(uploaded) - len(records), "records": in_order}


@app.command(
    "inspections",
    epilog=epilog(
        "loupe inspections",
        "loupe inspections --line line-1 --verdict fail --since 7d",
        "loupe inspections --serial 4711",
        "loupe inspections --line line-1 --limit 10000 --csv > inspections.csv",
    ),
)
def list_inspections(
    home: Home,
    line: Line = None,
    station: Station = None,
    serial: Annotated[str | None, typer.Option(metavar="NAME", help="The part's serial number.")] = None,
    verdict: Annotated[
        str | None, typer.Option(metavar="NAME", help="pass, fail, review or unreadable.")
    ] = None,
    since: Since = "24h",
    until: Until = "0s",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV for a spreadsheet instead of text.")] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """List inspections, newest first.

    Without --line and --serial: those that need attention (fail, review, unreadable), of all lines.
    """
    if verdict not in (None, Verdict.PASS, *RARE_VERDICTS):
        raise LoupeError(f"{verdict!r} is not a verdict", "Use pass, fail, review or unreadable.")
    now = datetime.now(UTC)
    begin, end = inspections.parse_time(since, now), inspections.parse_time(until, now)
    wanted = Filter(begin, end, line, station, serial, verdict)
    records = inspections.query(open_target(stack, home), wanted, limit)
    if json_:
        print_json({"inspections": records, "count": len(records)})
    elif csv:
        sys.stdout.write(csv_text(records))
    else:
        _show_list(records, wanted, limit)


def _show_list(records: list[Inspection], wanted: Filter, limit: int) -> None:
    where = ", ".join(
        f"{name} {value}"
        for name, value in (("line", wanted.line), ("station", wanted.station), ("serial", wanted.serial))
        if value
    )
    everything = wanted.line or wanted.serial
    verdicts = wanted.verdict or (
        "all verdicts" if everything else "fail, review and unreadable (passes: --line NAME)"
    )
    span = f"since {wanted.since.astimezone():%Y-%m-%d %H:%M}"
    if not records:
        out.print(f"No inspection: {where or 'all lines'}, {verdicts}, {span}.", soft_wrap=True)
        return
    show_inspections(records, f"{where or 'All lines'}: {verdicts}, {span}")
    if len(records) == limit:
        out.print(f"These are the newest {limit}; --limit shows more.")


@app.command(
    "open",
    epilog=epilog("loupe open", "loupe open 4711", "loupe open 4711 --print"),
)
def open_picture(
    home: Home,
    serial: Annotated[
        str | None, typer.Argument(help="Without it: the newest inspection that was not a pass.")
    ] = None,
    line: Line = None,
    since: Since = "30d",
    print_: Annotated[bool, typer.Option("--print", help="Print the file's path, and open nothing.")] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Open the picture of an inspection, with what was found framed.

    The frames of defects are solid, those of doubtful detections dashed.
    """
    now = datetime.now(UTC)
    wanted = Filter(inspections.parse_time(since, now), now, line, None, serial)
    target = open_target(stack, home)
    records = inspections.query(target, wanted, limit=1)
    if not records:
        part = f"serial {serial}" if serial else "a defect or a review"
        raise LoupeError(
            f"there is no inspection of {part} since {wanted.since.astimezone():%Y-%m-%d %H:%M}",
            "Upload images first (loupe drop FOLDER --wait), or look further back with --since.",
        )
    file = pictures.download(target, records[0], pictures.folder(home, records[0]))
    if json_:
        print_json({"picture": str(file), "inspection": records[0]})
        return
    record = records[0]
    out.print(f"{record['verdict']}  {record['line']}/{record['station']}  {record['serial']}  ", end="")
    out.print(explanation(record), soft_wrap=True)
    out.print(str(file), soft_wrap=True)
    if not print_:
        _launch(file)


def _launch(file: Path) -> None:
    """Open a file with the system's own viewer; without one, the printed path is all."""
    viewer = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if viewer:
        # What a viewer says about itself does not belong to this command's output.
        subprocess.Popen(  # noqa: S603
            [viewer, str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

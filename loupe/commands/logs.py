"""`loupe logs`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

import typer
from rich.text import Text

from contract.keys import INCOMING
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target
from loupe.errors import LoupeError
from loupe.stack import image_history, inspections
from loupe.stack.image_history import Image
from loupe.stack.logs import LogLine, StackLogs
from loupe.stack.target import Target
from loupe.views.console import err, out, print_json

app = commands()

# CloudWatch answers a few such requests in a second, for the whole account:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
_POLL_SECONDS, _LOCAL_POLL_SECONDS = 5.0, 1.0
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_STYLES = {"WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red"}
_DAY, _LATE = timedelta(days=1), timedelta(minutes=1)


@app.command(
    epilog=epilog(
        "loupe logs",
        "loupe logs inspect --since 15m",
        "loupe logs --errors",
        "loupe logs training -f",
        "loupe logs --serial SN1003",
        "loupe logs incoming/line-1/top/SN1003.jpg",
    )
)
def logs(
    home: Home,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LOG|KEY]...",
            help="inspect, alert, track, replay, api, requests, retrain, endpoint, training, processing, transform; "
            "or an image's key.",
        ),
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="All lines about the image with this inspection.")
    ] = None,
    serial: Annotated[
        str | None, typer.Option(metavar="TEXT", help="All lines about the images of this part.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="15m, 2h or 7d ago, or a local time. Without it: 1h; of an image everything."
        ),
    ] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Warnings and errors only.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines until Ctrl+C.")] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Print the logs of functions, endpoint and jobs, or all lines of one image.

    The oldest line is first. Without LOG: all of them. Of one image: its way from the upload through functions and
    endpoint to its record and alert.
    """
    target, now = open_target(stack, home), datetime.now(UTC)
    begin = inspections.parse_time(since, now) if since else None
    stack_logs, pause = StackLogs(target), _LOCAL_POLL_SECONDS if target.local_cloud else _POLL_SECONDS
    show = partial(_print, errors=errors, pause=pause if follow else None, json_=json_)
    keys = [name for name in names or [] if name.startswith(INCOMING)]
    if keys or identity or serial:
        first = begin or now - _DAY
        images = _images(target, keys, identity, serial, first)

        def read(moment: datetime) -> list[LogLine]:
            # Without the option it begins with the upload, whenever that was.
            since_moment = None if begin is None and moment == first else moment
            found = [image_history.lines(target, stack_logs, image, since_moment) for image in images()]
            return sorted((line for lines in found for line in lines), key=lambda line: line.at)

        show(read, first, known=lambda: "No record, and no line about it")
    else:
        first = begin or now - timedelta(hours=1)
        show(
            lambda moment: stack_logs.read(names or [], moment),
            first,
            known=lambda: f"Logs: {', '.join(sorted(stack_logs.sources())) or 'none yet'}",
        )


def _images(
    target: Target, keys: list[str], identity: str | None, serial: str | None, since: datetime
) -> Callable[[], list[Image]]:
    """Return what finds the images: again at each look, because an image may have got its record meanwhile.

    Raises:
        LoupeError: More than one way to name the image is used.
    """
    if bool(keys) + bool(identity) + bool(serial) > 1:
        raise LoupeError("an image is named in one way", "Give --id, --serial, or keys.")
    if identity:
        return lambda: image_history.by_id(target, identity)
    if serial:
        return lambda: image_history.by_serial(target, serial, since)
    return lambda: [image for key in keys for image in image_history.by_key(target, key)]


def _print(
    read: Callable[[datetime], list[LogLine]],
    begin: datetime,
    *,
    known: Callable[[], str],
    errors: bool,
    pause: float | None,
    json_: bool,
) -> None:
    """Print what `read` returns; with a pause, again and again what is new."""
    first, printed = begin, set[LogLine]()
    while True:
        lines = [line for line in read(begin) if line not in printed]
        shown = [line for line in lines if not errors or line.level in _LEVELS[2:]]
        for line in shown:
            _show(line, json_)
        sys.stdout.flush()
        if pause is None:
            if not shown and not json_:
                since = f"{first.astimezone():%Y-%m-%d %H:%M}"
                none = f"{len(lines):,} lines since {since}, and no warning or error among them."
                err.print(none if lines else f"No line since {since}. {known()}.", soft_wrap=True)
            return
        # A line may arrive some seconds after its own time.
        begin = max(begin, datetime.now(UTC) - _LATE)
        # What an image's upload and record say is found at each look, however old it is.
        printed = {line for line in {*printed, *lines} if line.at >= begin or line.source in ("s3", "record")}
        time.sleep(pause)


def _show(line: LogLine, json_: bool) -> None:
    if json_:
        print_json(
            {
                "at": line.at.isoformat(),
                "log": line.source,
                "stream": line.stream,
                "level": line.level,
                "message": line.message,
            }
        )
        return
    level = Text(f"{line.level} " if line.level in _LEVELS else "", _STYLES.get(line.level, "dim"))
    head = Text(f"{line.at.astimezone():%Y-%m-%d %H:%M:%S} {line.source} ", "dim")
    out.print(Text.assemble(head, level, line.message), soft_wrap=True)

"""`loupe logs`."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.text import Text

from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target
from loupe.stack import inspections
from loupe.stack import logs as stack_logs
from loupe.stack.logs import LogLine
from loupe.views.console import err, out, print_json

app = commands()

_POLL_SECONDS = 1.0
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_STYLES = {"WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red"}


@app.command(
    epilog=epilog(
        "loupe logs", "loupe logs inspect --since 15m", "loupe logs --errors", "loupe logs training -f"
    )
)
def logs(
    home: Home,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LOG]...", help="inspect, alert, retrain-plan ..., endpoint, training, processing."
        ),
    ] = None,
    since: Annotated[str, typer.Option(metavar="TIME", help="15m, 2h or 7d ago, or a local time.")] = "1h",
    errors: Annotated[bool, typer.Option("--errors", help="Warnings and errors only.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines until Ctrl+C.")] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Print the logs of functions, endpoint and jobs.

    The oldest line is first. Without LOG: all of them.
    """
    target = open_target(stack, home)
    begin = inspections.parse_time(since, datetime.now(UTC))
    printed: set[LogLine] = set()
    while True:
        lines = [line for line in stack_logs.read(target, names or [], begin) if line not in printed]
        for line in lines:
            if not errors or line.level in _LEVELS[2:]:
                _show(line, json_)
        sys.stdout.flush()
        if not follow:
            if not lines and not json_:
                existing = ", ".join(sorted(stack_logs.sources(target))) or "none yet"
                err.print(f"No line since {begin.astimezone():%Y-%m-%d %H:%M}. Logs: {existing}.")
            return
        printed.update(lines)
        # A line may arrive some seconds after its own time.
        begin = max(begin, datetime.now(UTC) - timedelta(minutes=1))
        printed = {line for line in printed if line.at >= begin}
        time.sleep(_POLL_SECONDS)


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

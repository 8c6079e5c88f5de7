"""Statistics: `stats`."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Line, Stack, open_target
from loupe.stack import inspections, statistics
from loupe.views.console import print_json
from loupe.views.stats import show_statistics

app = commands()


class By(StrEnum):
    """What a row is."""

    HOUR = "hour"
    DAY = "day"


@app.command(
    epilog=epilog(
        "loupe stats",
        "loupe stats --since 24h --by hour --line line-1",
        "loupe stats --since 30d --json | jq .totals",
    )
)
def stats(
    home: Home,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="15m, 2h or 7d ago, or 2026-01-31T08:00 (local time).")
    ] = "7d",
    until: Annotated[str, typer.Option(metavar="TIME", help="As --since.")] = "0s",
    by: Annotated[
        By | None,
        typer.Option(help="Rows of hours (up to 14 days) or days (up to 400).", show_default="what fits"),
    ] = None,
    line: Line = None,
    station: Annotated[str | None, typer.Option(metavar="NAME", help="The station on the line.")] = None,
    model: Annotated[str | None, typer.Option(metavar="VERSION", help="The version of the model.")] = None,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Show how many images were inspected, and how many failed.

    Each share has its 95 % confidence interval. A row is marked if its share of failed images is outside three sigma
    of the mean: that is rarely chance.
    """
    now = datetime.now(UTC)
    begin, end = inspections.parse_time(since, now), inspections.parse_time(until, now)
    report = statistics.read(open_target(stack, home), begin, end, by and by.value, line, station, model)
    if json_:
        print_json(report)
        return
    filters = (("line", line), ("station", station), ("model", model))
    show_statistics(report, ", ".join(f"{name} {value}" for name, value in filters if value))

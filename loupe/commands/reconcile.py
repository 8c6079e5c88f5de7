"""`loupe reconcile`: images without a record."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from contract.text import counted
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack, open_target, target_options
from loupe.errors import LoupeError
from loupe.stack.inspections import parse_time
from loupe.stack.reconciliation import Outcome
from loupe.stack.reconciliation import reconcile as compare
from loupe.views.console import err, out, print_json

app = commands()

_SHOWN = 20


@app.command(
    epilog=epilog(
        "loupe reconcile --dry-run",
        "loupe reconcile --since 30d --stack loupe",
        statuses={1: "an error, or it cannot be told now which images are lost"},
    )
)
def reconcile(
    home: Home,
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="Uploaded 2h or 7d ago, or since 2026-01-31T08:00 (local time)."),
    ] = "7d",
    older_than: Annotated[
        float,
        typer.Option(metavar="MINUTES", min=0, help="Leave younger images alone; they may be on their way."),
    ] = 30,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Announce nothing; show which are lost.")
    ] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Find images without a record, and announce them again.

    Compares the bucket with the table. The stack does so once a day by itself (ReconcileSchedule), and the local cloud
    at its start. Images that wait or are dead letters are no lost ones. An image whose record has expired is not
    inspected again. Repeating it is safe: an image has one record.
    """
    target = open_target(stack, home)
    with err.status("comparing") as status:
        outcome = compare(
            target,
            parse_time(since, datetime.now(UTC)),
            timedelta(minutes=older_than),
            dry_run,
            lambda found: status.update(f"comparing: {found.listed:,} images listed, {found.missing:,} lost"),
        )
    if json_:
        print_json(asdict(outcome) | {"dry_run": dry_run})
    else:
        _show(outcome, dry_run)
    if outcome.obstacle and outcome.missing and not dry_run:
        raise LoupeError(
            f"{'not all were' if outcome.announced else 'nothing was'} announced: {outcome.obstacle}",
            f"Again when they are inspected; see: loupe status{target_options(stack, home)}",
        )


def _show(outcome: Outcome, dry_run: bool) -> None:
    for image in outcome.images[:_SHOWN]:
        out.print(f"{image['uploaded_at']}  {image['image']}  {image['version_id']}", soft_wrap=True)
    if outcome.missing > _SHOWN:
        out.print(f"... and {outcome.missing - _SHOWN:,} more", soft_wrap=True)
    text = f"{outcome.compared:,} of {counted(outcome.listed, 'image')} compared: "
    if not outcome.compared:
        out.print(f"None of {counted(outcome.listed, 'image')} is of that time.", soft_wrap=True)
        return
    if not outcome.missing:
        out.print(f"{text}each has its record.", soft_wrap=True)
        return
    parts = [f"{outcome.missing:,} without a record"]
    parts += [f"{outcome.dead_letters:,} of them in the dead-letter queue"] if outcome.dead_letters else []
    parts += [f"{outcome.announced:,} announced again"] if not dry_run else []
    out.print(f"{text}{', '.join(parts)}.", soft_wrap=True)
    if outcome.obstacle and dry_run:
        out.print(f"Not certain: {outcome.obstacle}.", soft_wrap=True)

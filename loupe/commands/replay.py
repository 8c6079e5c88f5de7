"""`loupe replay`: images are judged again, by today's model and rules."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from contract.inspections import Verdict
from loupe.commands import interrupts
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Line, Stack, open_target, target_options
from loupe.cost.replay import dollars
from loupe.errors import LoupeError
from loupe.stack import replays
from loupe.stack.inspections import parse_time
from loupe.stack.target import Target
from loupe.views import replays as view
from loupe.views.console import err, print_json, progress_bar

app = commands()


@app.command(
    epilog=epilog(
        "loupe replay --since 2d --line line-1 --dry-run",
        "loupe replay --since 2026-01-31T08:00 --until 2026-01-31T16:00 --verdict pass",
        "loupe replay --resume 1f2e3d4c",
        statuses={1: "an error, not confirmed, or some images could not be judged"},
    )
)
def replay(
    home: Home,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Received 2h or 7d ago, or since 2026-01-31T08:00 (local time)."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="And before. Without it: now.")] = None,
    line: Line = None,
    station: Annotated[str | None, typer.Option(metavar="NAME", help="The station.")] = None,
    verdict: Annotated[Verdict | None, typer.Option(help="Only with this verdict now.")] = None,
    alert: Annotated[
        bool,
        typer.Option("--alert", help="Alert about images that fail now, and about which nobody was alerted."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Judge nothing; show how many it would be.")
    ] = False,
    resume: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on with a replay that was interrupted.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Judge images again, by today's model and rules.

    Each record gets a new version; the old judgement stays readable in its history. Nobody is alerted, unless --alert
    is given. What people have decided stays, and the summary says where the new verdict differs. An image that today's
    model and rules have judged stays as it is. New images go first. Interrupted, it goes on with --resume.
    """
    target, options = open_target(stack, home), target_options(stack, home)
    if resume is None:
        selection = _selection(since, until, line, station, verdict)
        found = _count(target, selection)
        asked = _asked(target, found)
        if dry_run or not found.images:
            if json_:
                print_json(asked)
            else:
                view.show_asked(asked)
            return
        _confirm(asked, yes, alert)
        resume = replays.start(target, selection, alert).id
    elif since or until or line or station or verdict or dry_run:
        raise LoupeError(
            "--resume goes on with the images that were asked for", "Leave the other options out."
        )
    done = _follow(target, resume, options)
    if json_:
        print_json(view.document(done))
    else:
        view.show_done(done)
    if done.stuck:
        raise LoupeError(
            f"{done.stuck} of {done.announced} images could not be judged again; they keep their judgement",
            f"See why: loupe dlq{options}",
        )


def _selection(
    since: str | None, until: str | None, line: str | None, station: str | None, verdict: Verdict | None
) -> replays.Selection:
    now = datetime.now(UTC)
    if since is None:
        raise LoupeError("say since when: --since TIME", "Such as: loupe replay --since 2d --dry-run")
    first, last = parse_time(since, now), parse_time(until, now) if until else now
    if first > last:
        raise LoupeError("--since is later than --until", "--since is the earlier time.")
    return replays.Selection(first, last, line, station, verdict)


def _count(target: Target, selection: replays.Selection) -> replays.Count:
    with err.status("counting") as status:
        return replays.count(
            target, selection, lambda found: status.update(f"counting: {found.images:,} images")
        )


def _asked(target: Target, found: replays.Count) -> dict[str, Any]:
    """Return what a replay would do, and on AWS what it costs."""
    region = target.session.region_name or ""
    return {
        "images": found.images,
        "by_verdict": dict(found.by_verdict),
        "unversioned": found.unversioned,
        "dollars": None if target.local_cloud else round(dollars(found.images, region), 2),
    }


def _confirm(asked: dict[str, Any], yes: bool, alert: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise LoupeError(
            f"this judges {asked['images']:,} images again, and nobody can be asked", "Add --yes."
        )
    view.show_asked(asked)
    alerts = "and alert about each new failure" if alert else "and alert nobody"
    typer.confirm(f"Judge {asked['images']:,} images again, {alerts}?", abort=True, err=True)


def _follow(target: Target, identity: str, options: str) -> replays.Progress:
    again = f"What is announced goes on. Follow it: loupe replay --resume {identity}{options}"
    with interrupts.explained(again), progress_bar() as bar:
        task = bar.add_task("judging again", total=None)

        def show(progress: replays.Progress) -> None:
            bar.update(task, completed=progress.done, total=progress.announced or None)

        return replays.follow(target, identity, show)

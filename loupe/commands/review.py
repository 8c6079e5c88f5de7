"""What waits for a person: `review`, `review decide`, `review rates` and `review export`."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from contract.text import counted
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Line, Stack, open_target, target_options
from loupe.errors import LoupeError
from loupe.stack import reviews
from loupe.views.console import out, print_json
from loupe.views.reviews import show_rates, show_reviews, waiting

app = commands("See what waits for a person, decide about it, and measure the mistakes.")


class State(StrEnum):
    """Which reviews to list."""

    OPEN = "open"
    DECIDED = "decided"
    DISAGREEMENT = "disagreement"


class Choice(StrEnum):
    """What a person can decide."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNUSABLE = "unusable"


@app.callback(
    invoke_without_command=True,
    no_args_is_help=False,
    epilog=epilog(
        "loupe review",
        "loupe review --line line-1 --state disagreement",
        "loupe review decide ID fail --label scratch --box 10,20,60,80",
    ),
)
def review(
    context: typer.Context,
    home: Home,
    line: Line = None,
    state: Annotated[State, typer.Option(help="Which reviews.")] = State.OPEN,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100)] = 20,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """List what waits for a person, the most useful first.

    These are all doubtful images, and a share of the passed and of the failed ones (docs/review.md).
    """
    if context.invoked_subcommand:
        _refuse_early_options(context)
        return
    found = reviews.listed(open_target(stack, home), line, state, limit)
    if json_:
        print_json({"waiting": found.waiting, "reviews": found.reviews})
        return
    if found.reviews:
        show_reviews(found, state)
    else:
        out.print("Nothing waits for a review." if state is State.OPEN else "There is none.")
        return
    options = target_options(stack, home)
    out.print(
        f"{waiting(found)} Decide in the dashboard: loupe dashboard{options}; or here: loupe review decide ID "
        f"pass|fail{options}",
        soft_wrap=True,
    )


def _refuse_early_options(context: typer.Context) -> None:
    """Refuse options in front of a command of the group, which would not reach it.

    Raises:
        LoupeError: There are some.
    """
    given = [
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    ]
    if given:
        command = context.invoked_subcommand
        raise LoupeError(
            f"options of `loupe review {command}` stand behind it",
            f"Write them after {command}: loupe review {command} --help",
        )


@app.command(
    epilog=epilog(
        "loupe review decide ID pass",
        "loupe review decide ID fail --label scratch --box 10,20,60,80 --label dent --box 5,5,20,20",
        "loupe review decide ID fail --found --comment 'seen with a lens'",
    )
)
def decide(
    home: Home,
    identity: Annotated[str, typer.Argument(metavar="ID", help="As `loupe review` lists it.")],
    verdict: Annotated[Choice, typer.Argument(metavar="VERDICT", help="pass, fail or unusable.")],
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="The class of a defect; a --box belongs to it.")
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option(metavar="X1,Y1,X2,Y2", help="In pixels of the upright picture.")
    ] = None,
    found: Annotated[
        bool, typer.Option("--found", help="The defects are those that the model has framed.")
    ] = False,
    comment: Annotated[
        str | None, typer.Option("--comment", "-m", metavar="TEXT", help="Why, for the history.")
    ] = None,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Decide about an image. The decision is a label for the next training."""
    objects = reviews.boxes(label or [], box or [])
    if (objects or found) and verdict is not Choice.FAIL:
        raise LoupeError(
            f"a picture that is {verdict} shows no defect", "Leave out --label, --box and --found."
        )
    target = open_target(stack, home)
    decided = reviews.decide(target, identity, verdict, objects, found=found, comment=comment)
    if json_:
        print_json(decided)
        return
    marked = len(decided["decisions"][-1]["objects"])
    defects = f" with {counted(marked, 'defect')}" if marked else ""
    out.print(f"{decided['serial']} of {decided['line']}: {verdict}{defects}.", soft_wrap=True)
    if decided["disagreement"]:
        out.print("Another person has decided otherwise: loupe review --state disagreement", soft_wrap=True)
    learned = "The next training learns from it."
    if verdict is Choice.FAIL and not marked:
        learned = "The next training of an anomaly model learns from it; a detector needs a box."
    out.print(decided["no_label"] or learned, soft_wrap=True)


@app.command(epilog=epilog("loupe review rates", "loupe review rates --since 90d --line line-1 --json"))
def rates(
    home: Home,
    since: Annotated[str, typer.Option(metavar="TIME", help="2h or 7d ago, or 2026-01-31.")] = "30d",
    until: Annotated[str | None, typer.Option(metavar="TIME", help="As --since.")] = None,
    line: Line = None,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Show how many defects escape, and how many good parts are lost."""
    measured = reviews.rates(open_target(stack, home), since, until, line)
    if json_:
        print_json(measured)
    else:
        show_rates(measured)


@app.command(
    epilog=epilog("loupe review export labels.json", "loupe review export labels.json --stack loupe")
)
def export(
    home: Home,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Write the labels of all decisions as one COCO file."""
    wrote = reviews.export(open_target(stack, home), path)
    if json_:
        print_json({"path": str(path), **asdict(wrote)})
        return
    written = f"{counted(wrote.images, 'image')}, {counted(wrote.objects, 'object')}"
    out.print(f"Wrote {path}: {written}.", soft_wrap=True)
    if wrote.left_out:
        what = f"{counted(wrote.left_out, 'image')} that {'shows' if wrote.left_out == 1 else 'show'}"
        out.print(f"Left out: {what} a defect without a box. COCO has boxes only.", soft_wrap=True)

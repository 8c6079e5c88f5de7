"""`loupe learn`: from a folder of good pictures to a model that judges, and its first verdicts."""

from __future__ import annotations

from typing import Annotated

import typer

from contract.text import counted
from localcloud.signals import StopSignals
from loupe.commands import program_runner
from loupe.commands.course import Course, Wish
from loupe.commands.help import commands, epilog
from loupe.commands.options import Home, Json, Stack
from loupe.errors import LoupeError
from loupe.stack.waiting import why_waiting
from loupe.views.console import err, print_json
from loupe.views.learning import Screen

app = commands()


@app.command(
    epilog=epilog(
        "loupe learn bottles/normal",
        "loupe learn bottles",
        "loupe learn bottles.zip --line press-2 --overkill-rate 0.02",
        "loupe learn bottles/normal --up",
        "loupe learn LABELLED --family gfl_efficientnet_lite0",
        statuses={1: "an error, or a picture has no verdict yet"},
    )
)
def learn(
    source: Annotated[
        str,
        typer.Argument(metavar="PICTURES", help="A folder or a zip of good pictures, or labelled images."),
    ],
    home: Home,
    line: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The line, and the model's name. Without it: the name of the folder."
        ),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What to train (docs/families.md). Without it: what suits the pictures."
        ),
    ] = None,
    overkill_rate: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=0.5,
            help="The wanted share of good products that fail.  [default: 0.01]",
        ),
    ] = None,
    escape_rate: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=0.5,
            help="With defective pictures: the wanted share of them that pass.  [default: 0]",
        ),
    ] = None,
    all_good: Annotated[
        bool, typer.Option("--all-good", help="All pictures are good, whatever their folders are called.")
    ] = False,
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="The format of labels, instead of detecting it."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A hyperparameter; can be repeated."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Serve the new model alone, in place of what serves now.")
    ] = False,
    no_drop: Annotated[bool, typer.Option("--no-drop", help="Upload no picture afterwards.")] = False,
    up: Annotated[bool, typer.Option("--up", help="Start the local cloud first, if none runs.")] = False,
    stack: Stack = None,
    json_: Json = False,
) -> None:
    """Learn from good pictures, and serve what was learned.

    About twenty pictures of good products are enough: an anomaly model learns from them what good looks like, and
    calls anomaly what does not look so. Defective pictures beside them (normal/ and anomaly/) set the limit and measure
    it. From pictures with boxes, a detector is trained. The training runs on this machine, with --stack, too; then the
    model is deployed, its scores become the rules, and some of the pictures are uploaded and judged.
    """
    program_runner.require_torch()
    hyperparameters = _settings(settings or [], overkill_rate, escape_rate)
    wish = Wish(
        source, line, family, hyperparameters, format_, all_good, replace=replace, drop=not no_drop, up=up
    )
    course = Course(wish, home, stack, Screen(json_))
    signals = StopSignals()
    signals.install()
    try:
        document = course.run()
    except KeyboardInterrupt:
        for text in course.interrupted():
            err.print(text, soft_wrap=True)
        raise typer.Exit(130) from None
    finally:
        signals.restore()
    if json_:
        print_json(document)
    if missing := (document["verdicts"] or {}).get("missing"):
        cause = why_waiting(course.target, course.dropped_at)
        raise LoupeError(
            f"{counted(missing, 'picture')} without a verdict yet" + (f": {cause.message}" if cause else ""),
            cause.hint if cause else f"They are not lost. See: loupe status{course.options}",
        )


def _settings(settings: list[str], overkill_rate: float | None, escape_rate: float | None) -> tuple[str, ...]:
    """Return the hyperparameters of all options."""
    given = {"overkill_rate": overkill_rate, "escape_rate": escape_rate}
    return (*settings, *(f"{name}={value:g}" for name, value in given.items() if value is not None))

"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

# typer has no public names for them.
from typer._click.core import ParameterSource
from typer._click.globals import get_current_context

from loupe.home import default_home

if TYPE_CHECKING:
    from loupe.stack.target import Target


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Home = Annotated[
    Path,
    typer.Option(
        envvar="LOUPE_HOME",
        default_factory=default_home,
        show_default=False,
        help="The local cloud's private folder.",
    ),
]
Stack = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A stack on AWS, reached with your AWS profile; with --home, one of that name in the local cloud. "
        "Without it: the local cloud.",
    ),
]
Line = Annotated[str | None, typer.Option(metavar="NAME", help="The production line.")]


def open_target(stack: str | None, home: Path) -> Target:
    """Return the stack that the options choose.

    Raises:
        LoupeError: There is no such stack on AWS.
        NotRunningError: No local cloud runs on `home`.
    """
    from loupe.stack.target import Target

    if stack is None:
        return Target.local(home)
    return Target.local_stack(home, stack) if _given_home() else Target.aws(stack)


def _given_home() -> bool:
    """Return whether the command line itself names the home: LOUPE_HOME alone does not turn AWS into a laptop."""
    context = get_current_context(silent=True)
    return context is not None and context.get_parameter_source("home") == ParameterSource.COMMANDLINE


def target_options(stack: str | None, home: Path) -> str:
    """Return the options with which another command works on the same target; empty if it does without any."""
    if stack:
        return f" --stack {stack}" + (f" --home {home}" if _given_home() else "")
    return "" if str(home) in (os.environ.get("LOUPE_HOME"), str(default_home())) else f" --home {home}"

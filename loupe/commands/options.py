"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loupe.stack.target import Target, default_home

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Home = Annotated[
    Path,
    typer.Option(envvar="LOUPE_HOME", default_factory=default_home, help="The local cloud's private folder."),
]
Stack = Annotated[
    str | None,
    typer.Option(help="A stack on AWS, reached with your AWS profile. Without it: the local cloud."),
]
Line = Annotated[str | None, typer.Option(help="The production line.")]
# For commands that pass their arguments on to a program, which has its own options.
PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True}


def open_target(stack: str | None, home: Path) -> Target:
    """Return the stack that the options choose.

    Raises:
        LoupeError: There is no such stack on AWS.
        NotRunningError: No local cloud runs on `home`.
    """
    return Target.aws(stack) if stack else Target.local(home)

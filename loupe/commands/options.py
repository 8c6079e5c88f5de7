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
    str | None, typer.Option(help="A stack on AWS, by the ordinary AWS profile. Without it: the local cloud.")
]
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}  # the program has options of its own


def chosen(stack: str | None, home: Path) -> Target:
    """Where the command works. Raises LoupeError and NotRunningError."""
    return Target.aws(stack) if stack else Target.local(home)

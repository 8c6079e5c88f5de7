"""What Ctrl+C says during a long command: what is done, what is not, and how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from loupe.views.console import err


@contextmanager
def explained(*lines: str) -> Iterator[None]:
    """On Ctrl+C, print the lines to stderr and exit with status 130.

    Raises:
        typer.Exit: Ctrl+C.
    """
    try:
        yield
    except KeyboardInterrupt:
        for line in lines:
            err.print(line, soft_wrap=True)
        raise typer.Exit(130) from None

"""What Ctrl+C says during a long command: what is done, what is not, and how to go on."""

from __future__ import annotations

import signal
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


def treat_signals_as_ctrl_c() -> None:
    """Treat SIGTERM, and SIGHUP of a closed terminal, as Ctrl+C, so that what was started is also ended."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)

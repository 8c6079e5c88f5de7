"""The terminal: results go to stdout, progress and errors to stderr."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.segment import Segment
from rich.status import Status
from rich.table import Table
from rich.text import Text

from contract.text import plain, plain_lines

# C1 controls, bidirectional controls and line separators: JSON does not require that they are escaped.
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_WIDTH_OF_PIPES = 120


class PlainConsole(Console):
    """A console that prints text as text.

    Names and messages come from outside, so nothing in a string is markup (styled text is a `rich.text.Text`), and no
    escape sequence or control character reaches the terminal, wherever in a table or panel it is.
    """

    def __init__(self, **settings: Any) -> None:
        """Initialize a console; `settings` are those of rich's Console."""
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def status(self, status: RenderableType, **settings: Any) -> Status:
        """Return a spinner with a text that is not markup either, as rich's own would be."""
        return _PlainStatus(_as_text(status), console=self, **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of what is printed, with their text made plain."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain_lines(segment.text), segment.style)


class _PlainStatus(Status):
    def update(self, status: RenderableType | None = None, **settings: Any) -> None:
        super().update(None if status is None else _as_text(status), **settings)


def _as_text(renderable: RenderableType) -> RenderableType:
    return Text(plain(renderable)) if isinstance(renderable, str) else renderable


out = PlainConsole()
if not out.is_terminal:
    # A file or a pipe has no width, and rich's 80 columns are too few for the tables.
    out = PlainConsole(width=_WIDTH_OF_PIPES)
err = PlainConsole(stderr=True)


def table(title: str, *, figures: Iterable[str] = (), names: Iterable[str] = ()) -> Table:
    """Return an empty table without vertical lines, so that 80 columns hold more.

    Args:
        title: Printed above the table.
        figures: Columns that are never cut: figures, times, verdicts.
        names: Columns that come after those, and continue on a second line if the terminal is too narrow.
    """
    grid = Table(title=title, title_justify="left", title_style="bold", expand=False, box=box.SIMPLE_HEAD)
    grid.padding = (0, 1, 0, 0)
    grid.pad_edge = False
    for name in figures:
        grid.add_column(name, no_wrap=True)
    for name in names:
        grid.add_column(name, overflow="fold")
    return grid


def print_json(document: Any) -> None:
    """Print a JSON document on one line of stdout, with control characters escaped."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    sys.stdout.write(_UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n")
    sys.stdout.flush()


def progress_bar() -> Progress:
    """Return a progress bar on stderr, which shows nothing if stderr is not a terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=not err.is_terminal,
    )

"""The terminal: results go to stdout, progress and errors to stderr."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

out = Console()
if not out.is_terminal:
    # A file or a pipe has no width, and rich's 80 columns are too few for the tables.
    out = Console(width=120)
err = Console(stderr=True)


def print_json(document: Any) -> None:
    """Print a JSON document on one line of stdout."""
    json.dump(document, sys.stdout, ensure_ascii=False, separators=(",", ":"))
    sys.stdout.write("\n")


def progress_bar() -> Progress:
    """Return a progress bar on stderr, which shows nothing if stderr is not a terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=not err.is_terminal,
    )

"""What the benchmarks print: progress on stderr, the figures on stdout."""

from __future__ import annotations

import json
import platform
import sys
from typing import Any

from rich.console import Console

from training.job.container import cores

say = Console(stderr=True).print


def machine(**more: object) -> dict[str, object]:
    """Return the number of cores, the Python version, and `more`, for the figures."""
    return {"cores": cores(), "python": platform.python_version(), **more}


def show(result: dict[str, Any], as_json: bool) -> None:
    """Print the figures: on one line for programs, or formatted for people."""
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        Console().print_json(data=result)

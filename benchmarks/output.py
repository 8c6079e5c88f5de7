"""What the benchmarks say while they run, and the figures at their end."""

from __future__ import annotations

import json
import platform
import sys
from typing import Any

from rich.console import Console

from training.job.container import cores

say = Console(stderr=True).print


def machine(**more: object) -> dict[str, object]:
    """The cores and the Python that the figures were taken with, and `more`."""
    return {"cores": cores(), "python": platform.python_version(), **more}


def show(result: dict[str, Any], as_json: bool) -> None:
    """The figures on standard output: one line for machines, or laid out for people."""
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        Console().print_json(data=result)

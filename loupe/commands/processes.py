"""Programs of another room, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec

from loupe.errors import LoupeError


def run(module: str, arguments: list[str], environment: Mapping[str, str] | None = None) -> int:
    """Runs `python -m module` to its end, in this environment or the given one.

    Ctrl+C reaches both processes; this one waits for the other's end.

    Returns:
        The exit status.
    """
    with subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment) as process:  # noqa: S603
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def need_torch() -> None:
    """Raises LoupeError where this environment cannot train."""
    if find_spec("torch") is None:
        raise LoupeError("training needs torch, which is not installed", "Run `make dev` once (5 GB).")

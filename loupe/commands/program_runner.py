"""Run the container's programs and the benchmarks, each in its own process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec

from loupe.errors import LoupeError


def run_program(module: str, arguments: list[str], environment: Mapping[str, str] | None = None) -> int:
    """Run `python -m module` until it ends.

    Ctrl+C reaches both processes; this one waits until the other has ended.

    Args:
        module: The program's module.
        arguments: Its command line.
        environment: Its environment; None for that of this process.

    Returns:
        The exit status.
    """
    with subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment) as process:  # noqa: S603
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def require_torch() -> None:
    """Check that this environment can train.

    Raises:
        LoupeError: torch is not installed.
    """
    if find_spec("torch") is None:
        raise LoupeError("training needs torch, which is not installed", "Run `make dev` once (5 GB).")

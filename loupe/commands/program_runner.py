"""Run the container's programs and the benchmarks in place of this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import NoReturn

from loupe.errors import LoupeError


def become_program(
    module: str, arguments: list[str], environment: Mapping[str, str] | None = None
) -> NoReturn:
    """Replace this process by `python -P -m module`.

    The program gets every signal itself: there is no wrapper that could end alone and leave it behind.

    Args:
        module: The program's module.
        arguments: Its command line.
        environment: Its environment; None for that of this process.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    # -P: a file of the user's folder, such as a training.py, does not take the place of ours.
    command = [sys.executable, "-P", "-m", module, *arguments]
    os.execve(sys.executable, command, dict(environment or os.environ))  # noqa: S606


def require_torch() -> None:
    """Check that this environment can train.

    Raises:
        LoupeError: torch is not installed.
    """
    if find_spec("torch") is None:
        raise LoupeError(
            "training needs torch, which is not installed",
            "In a checkout: make dev (5 GB). Installed with pipx: pipx install --force 'PATH[train]'.",
        )

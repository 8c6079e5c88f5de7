"""Ask a program of the functions or of the container, in its own process: only they have the code for some answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from loupe.errors import LoupeError


def ask(module: str, request: Any, path: list[Path], seconds: float, what_failed: str) -> dict[str, Any]:
    """Run `python -m module`, give it a JSON request on standard input, and return its JSON answer.

    Args:
        module: The program's module.
        request: What JSON can represent.
        path: The folders with the module and what it imports.
        seconds: How long it may take.
        what_failed: The beginning of the error message, such as `the rules cannot be checked`.

    Raises:
        LoupeError: The program fails, which a problem with the request is not: that is in the answer.
    """
    done = subprocess.run(  # noqa: S603
        # -P: not from the current folder, which may contain a package of the same name.
        [sys.executable, "-P", "-m", module],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=seconds,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))},
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise LoupeError(f"{what_failed}: {reason}", "Install Loupe again (README.md).")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer

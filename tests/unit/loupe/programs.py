"""Runs `python -m module` in this process, in place of `subprocess`: the program's own main() on the same input."""

from __future__ import annotations

import importlib
import io
import sys
import traceback
from contextlib import redirect_stdout
from subprocess import CompletedProcess
from typing import Any

import pytest


def run(command: list[str], *, input: str, **_: Any) -> CompletedProcess[str]:
    """Run a program that reads a request on standard input and writes its answer on standard output."""
    answer = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(answer):
        patch.setattr(sys, "stdin", io.StringIO(input))
        patch.setattr(sys, "argv", command[-1:])
        try:
            importlib.import_module(command[-1]).main()
        except Exception:  # noqa: BLE001 - a process, too, ends with any error
            return CompletedProcess(command, 1, answer.getvalue(), traceback.format_exc())
    return CompletedProcess(command, 0, answer.getvalue(), "")

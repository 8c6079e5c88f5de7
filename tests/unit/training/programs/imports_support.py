"""Runs the program of `loupe import` for its tests."""

from __future__ import annotations

import json

import pytest

from training.imports import main


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Return the exit status, and what was written to standard output and standard error."""
    capsys.readouterr()
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, object]:
    """Return the JSON report of a run that succeeds."""
    status, out, _ = run(capsys, *arguments, "--json")
    assert status == 0
    return json.loads(out)

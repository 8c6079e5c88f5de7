"""`loupe reconcile`: what it asks the stack's function, and what it prints."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from loupe import cli
from loupe.commands import reconcile as command

EMPTY = {
    "listed": 0,
    "compared": 0,
    "missing": 0,
    "dead_letters": 0,
    "announced": 0,
    "images": [],
    "obstacle": None,
}
LOST = {
    "image": "s3://images/incoming/l/s/\x1b[31ma.jpg",
    "version_id": "v1",
    "uploaded_at": "2026-01-31T08:00:00.000Z",
}
Run = Callable[..., tuple[int, str, str]]


class Function:
    """The stack's function: it answers in parts."""

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.error: dict[str, str] = {}

    def invoke(self, FunctionName: str, Payload: bytes) -> Any:
        self.asked.append(json.loads(Payload))
        return {"Payload": io.BytesIO(json.dumps(self.parts.pop(0)).encode())} | self.error


@pytest.fixture
def function() -> Function:
    return Function()


@pytest.fixture
def run(function: Function, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    target = SimpleNamespace(functions=function, output=lambda name: name)
    monkeypatch.setattr(command, "open_target", lambda *_: target)

    def run_command(*options: str) -> tuple[int, str, str]:
        status = cli.run(["reconcile", *options])
        return (status, *capsys.readouterr())

    return run_command


def test_the_parts_of_a_comparison_are_added(function: Function, run: Run) -> None:
    marker = {"key": "incoming/l/s/a.jpg", "version_id": "v1"}
    function.parts = [
        EMPTY
        | {"listed": 1000, "compared": 10, "missing": 2, "announced": 2, "images": [LOST], "marker": marker},
        EMPTY | {"listed": 5, "compared": 5, "missing": 1, "dead_letters": 1, "marker": None},
    ]
    status, out, _ = run()
    assert status == 0
    assert "\x1b" not in out
    assert (
        "15 of 1005 images compared: 3 without a record, 1 of them in the dead-letter queue, 2 announced"
        in out
    )
    assert [(asked["marker"], asked.get("announced")) for asked in function.asked] == [
        (None, None),
        (marker, 2),
    ]


def test_images_that_wait_are_an_error_and_a_dry_run_says_that_it_is_not_certain(
    function: Function, run: Run
) -> None:
    waiting = EMPTY | {
        "listed": 9,
        "compared": 9,
        "missing": 3,
        "obstacle": "900 images wait",
        "marker": None,
    }
    function.parts = [waiting, waiting, EMPTY | {"obstacle": "900 images wait", "marker": None}]
    status, _, err = run()
    assert (status, "nothing was announced: 900 images wait" in err) == (1, True)
    status, out, err = run("--dry-run")
    assert (status, "Not certain: 900 images wait." in out, err) == (0, True, "")
    assert run()[0] == 0, "nothing is missing"


def test_a_function_that_fails_names_its_reason_and_its_log(function: Function, run: Run) -> None:
    function.parts, function.error = [{"errorMessage": "Access denied"}], {"FunctionError": "Unhandled"}
    status, _, err = run("--json")
    assert (status, "Access denied" in err, "loupe logs reconcile" in err) == (1, True, True)


@pytest.mark.parametrize(("options", "status"), [(["--since", "soon"], 1), (["--older-than", "-1"], 2)])
def test_wrong_times_are_refused(run: Run, options: list[str], status: int) -> None:
    assert run(*options)[0] == status

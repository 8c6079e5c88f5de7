"""How the news of a run are told while it is at work."""

import io
from datetime import timedelta

import pytest
from rich.console import Console

from loupe.stack.history import Step
from loupe.stack.jobs import Line
from loupe.stack.retraining import Progress
from loupe.views import retraining as view
from tests.unit.loupe.executions import BEGAN

RUN = "0123456789ab"


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    """What is written to stderr: no terminal, as in a log."""
    made = Console(file=io.StringIO(), width=100)
    monkeypatch.setattr(view, "err", made)
    return made


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _step(name: str, seconds: float | None = None, failed: bool = False) -> Step:
    return Step(name, BEGAN, None if seconds is None else BEGAN + timedelta(seconds=seconds), failed)


def _lines(console: Console, *progress: Progress) -> list[str]:
    with view.watch(plain=True) as show:
        for each in progress:
            show(each)
    return [line.split(" ", 1)[1] for line in _text(console).splitlines()]


def test_a_step_is_told_when_it_begins_and_when_it_ends(console: Console):
    steps = [[_step("Plan")], [_step("Plan")], [_step("Plan", 75), _step("Gate", 2, failed=True)]]
    news = [Progress(each, [], RUN) for each in steps]
    assert _lines(console, *news) == ["Plan: begun", "Plan: done in 1 min 15 s", "Gate: failed in 2 s"]


def test_a_loop_is_told_once_however_often_it_turns(console: Console):
    turns = [Progress([_step("AwaitSwap", seconds)], [], RUN) for seconds in (None, 1, None, 2, None, 3)]
    assert _lines(console, *turns) == ["AwaitSwap: begun", "AwaitSwap: done in 1 s"]


def test_who_must_approve_is_told_how(console: Console):
    lines = _lines(console, Progress([_step("AskApproval")], [], RUN))
    assert lines[1] == f"waits for a person: loupe approve {RUN}, or loupe reject {RUN}"


def test_a_job_is_told_at_each_stage_and_its_epochs_now_and_then(
    console: Console, monkeypatch: pytest.MonkeyPatch
):
    clock = iter([0.0, 10.0, 20.0, 40.0, 40.0, 41.0])
    monkeypatch.setattr(view.time, "monotonic", lambda: next(clock))
    jobs = [
        Line("ssdlite", "waiting"),
        Line("ssdlite", "training", "epoch 1/9"),
        Line("ssdlite", "training", "epoch 2/9"),
        Line("ssdlite", "training", "epoch 4/9"),
        Line("ssdlite", "failed", "[red]odd[/]"),
    ]
    assert _lines(console, *(Progress([], [job], RUN) for job in jobs)) == [
        "ssdlite: waiting",
        "ssdlite: training: epoch 1/9",
        "ssdlite: training: epoch 4/9",
        "ssdlite: failed: [red]odd[/]",
    ]


def test_the_live_table_shows_the_jobs_under_their_step(console: Console):
    steps = [_step("Plan", 3), _step("Candidates"), _step("AskApproval")]
    jobs = [Line("ssdlite", "training", "epoch 3/20, loss 1.200"), Line("champion", "failed", "[odd]")]
    console.print(view._table(Progress(steps, jobs, RUN)))
    rows = [" ".join(row.split()) for row in _text(console).splitlines()]
    assert rows[0] == "✓ Plan 3 s"
    assert rows[2:4] == ["ssdlite training epoch 3/20, loss 1.200", "champion failed [odd]"]
    assert f"loupe approve {RUN}" in _text(console)

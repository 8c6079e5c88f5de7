"""How the progress of a run is shown."""

import io
from datetime import timedelta

import pytest
from rich.console import Console

from loupe.stack.history import Step
from loupe.stack.jobs import JobProgress
from loupe.stack.retraining import RunProgress
from loupe.views import run_progress
from loupe.views.console import PlainConsole
from tests.unit.loupe.executions import BEGAN

RUN = "0123456789ab"


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    """What is written to stderr, which is not a terminal, as in a log."""
    console = PlainConsole(file=io.StringIO(), width=100)
    monkeypatch.setattr(run_progress, "err", console)
    return console


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _step(name: str, seconds: float | None = None, failed: bool = False) -> Step:
    return Step(name, BEGAN, None if seconds is None else BEGAN + timedelta(seconds=seconds), failed)


def _lines(console: Console, *progress: RunProgress) -> list[str]:
    with run_progress.watch(plain=True) as show:
        for moment in progress:
            show(moment)
    return [line.split(" ", 1)[1] for line in _text(console).splitlines()]


def test_a_step_has_a_line_when_it_starts_and_when_it_ends(console: Console):
    steps = [[_step("Plan")], [_step("Plan")], [_step("Plan", 75), _step("Gate", 2, failed=True)]]
    moments = [RunProgress(reached, [], RUN) for reached in steps]
    assert _lines(console, *moments) == ["Plan: started", "Plan: done in 1 min 15 s", "Gate: failed in 2 s"]


def test_a_loop_is_shown_once_however_often_it_repeats(console: Console):
    rounds = [RunProgress([_step("AwaitSwap", seconds)], [], RUN) for seconds in (None, 1, None, 2, None, 3)]
    assert _lines(console, *rounds) == ["AwaitSwap: started", "AwaitSwap: done in 1 s"]


def test_a_run_that_waits_shows_the_commands_for_approval(console: Console):
    lines = _lines(console, RunProgress([_step("AskApproval")], [], RUN))
    assert lines[1] == f"waits for approval: loupe approve {RUN}, or loupe reject {RUN}"


def test_a_run_that_waits_shows_the_evaluation_once_it_is_known(console: Console):
    page = "s3://artefacts/reports/0123456789ab/ssdlite/evaluation.html"
    step = _step("AskApproval")
    moments = [RunProgress([step], [], RUN, uri) for uri in (None, page, page)]
    assert _lines(console, *moments)[1:] == [
        f"waits for approval: loupe approve {RUN}, or loupe reject {RUN}",
        f"its evaluation: {page}",
    ]
    console.print(run_progress._table(moments[-1]))
    assert page in _text(console).splitlines()[-1]


def test_a_job_has_a_line_for_each_stage_and_for_an_epoch_now_and_then(
    console: Console, monkeypatch: pytest.MonkeyPatch
):
    clock = iter([0.0, 10.0, 20.0, 40.0, 40.0, 41.0])
    monkeypatch.setattr(run_progress.time, "monotonic", lambda: next(clock))
    jobs = [
        JobProgress("ssdlite", "waiting"),
        JobProgress("ssdlite", "training", "epoch 1/9"),
        JobProgress("ssdlite", "training", "epoch 2/9"),
        JobProgress("ssdlite", "training", "epoch 4/9"),
        JobProgress("ssdlite", "failed", "[red]odd[/]"),
    ]
    assert _lines(console, *(RunProgress([], [job], RUN) for job in jobs)) == [
        "ssdlite: waiting",
        "ssdlite: training: epoch 1/9",
        "ssdlite: training: epoch 4/9",
        "ssdlite: failed: [red]odd[/]",
    ]


def test_the_live_table_shows_the_jobs_under_their_step(console: Console):
    steps = [_step("Plan", 3), _step("Candidates"), _step("AskApproval")]
    jobs = [
        JobProgress("ssdlite", "training", "epoch 3/20, loss 1.200"),
        JobProgress("champion", "failed", "[odd]"),
    ]
    console.print(run_progress._table(RunProgress(steps, jobs, RUN)))
    rows = [" ".join(row.split()) for row in _text(console).splitlines()]
    assert rows[0] == "✓ Plan 3 s"
    assert rows[2:4] == ["ssdlite training epoch 3/20, loss 1.200", "champion failed [odd]"]
    assert f"loupe approve {RUN}" in _text(console)

"""The progress of a retraining run while it is followed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.live import Live
from rich.table import Table
from rich.text import Text

from loupe.stack.history import Step
from loupe.stack.jobs import JobProgress
from loupe.stack.retraining import RunProgress
from loupe.views.console import err
from loupe.views.figures import duration

# Between two plain lines about the same stage of a job.
_DETAIL_SECONDS = 30.0
_APPROVAL_STEP = "AskApproval"
_JOBS_STEP = "Candidates"
_STYLES = {"done": "green", "failed": "bold red", "waiting": "dim"}


@contextmanager
def watch(plain: bool) -> Iterator[Callable[[RunProgress], None]]:
    """Show a run's progress on stderr: a table that is updated, or plain lines.

    Args:
        plain: Print lines even if stderr is a terminal.

    Yields:
        A function that shows the progress.
    """
    if plain or not err.is_terminal:
        yield _PlainLines().show
        return
    with Live(console=err, refresh_per_second=4) as live:
        yield lambda progress: live.update(_table(progress))


def _table(progress: RunProgress) -> Table:
    table = Table.grid(padding=(0, 2))
    for step in progress.steps:
        sign = Text("✗", "red") if step.failed else Text("✓", "green") if step.ended else Text("●", "cyan")
        waits = step.ended is None and step.name == _APPROVAL_STEP
        notes = _approval_notes(progress) if waits else [""]
        table.add_row(sign, step.name, duration(step.seconds()), notes[0])
        for note in notes[1:]:
            table.add_row("", "", "", note)
        if step.name == _JOBS_STEP:
            for job in progress.jobs:
                stage = Text(job.stage, _STYLES.get(job.stage, ""))
                table.add_row("", f"  {job.subject}", stage, job.detail)
    return table


def _approval_notes(progress: RunProgress) -> list[str]:
    """Return how to answer, and where to look before."""
    run = progress.run or "RUN"
    notes = [f"waits for approval: loupe approve {run}, or loupe reject {run}"]
    return notes + ([f"its evaluation: {progress.evaluation}"] if progress.evaluation else [])


class _PlainLines:
    """Prints a line for each change."""

    def __init__(self) -> None:
        self._printed_steps: set[tuple[str, bool]] = set()
        self._printed_jobs: dict[str, tuple[JobProgress, float]] = {}
        self._printed_notes: set[str] = set()

    def show(self, progress: RunProgress) -> None:
        """Print what has changed since the last call; of a step in a loop only the first round."""
        for step in progress.steps:
            self._show_step(step, progress)
            if step.name == _APPROVAL_STEP and step.ended is None:
                self._show_notes(_approval_notes(progress))
        for job in progress.jobs:
            if self._is_new(job):
                self._printed_jobs[job.subject] = job, time.monotonic()
                self._print(f"{job.subject}: {job.stage}{': ' if job.detail else ''}{job.detail}")

    def _show_step(self, step: Step, progress: RunProgress) -> None:
        ended = step.ended is not None
        if (step.name, ended) in self._printed_steps:
            return
        self._printed_steps.add((step.name, ended))
        if ended:
            outcome = "failed" if step.failed else "done"
            self._print(f"{step.name}: {outcome} in {duration(step.seconds())}")
            return
        self._print(f"{step.name}: started")

    def _show_notes(self, notes: list[str]) -> None:
        for note in notes:
            if note not in self._printed_notes:
                self._printed_notes.add(note)
                self._print(note)

    def _is_new(self, job: JobProgress) -> bool:
        printed, at = self._printed_jobs.get(job.subject, (None, 0.0))
        if printed is None or printed.stage != job.stage:
            return True
        return printed != job and time.monotonic() - at >= _DETAIL_SECONDS

    def _print(self, text: str) -> None:
        now = datetime.now()  # noqa: DTZ005 - the reader's local time
        err.print(f"{now:%H:%M:%S} {text}", soft_wrap=True)

"""How the building of a stack is shown: its checks, its steps, and what it is in the end."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.text import Text

from loupe.account.creation import Outcome
from loupe.account.problem import Problem
from loupe.account.status import State
from loupe.views.console import err, out, print_json

_SIGNS = {"found": "=", "done": "+", "open": "-"}
_STATES = {"found": "is there", "done": "done", "open": "to do"}


def show_problems(problems: Iterable[Problem]) -> None:
    """Print to stderr what the checks have found."""
    for problem in problems:
        err.print(f"{problem.level}: {problem.message}", soft_wrap=True)
        err.print(f"         {problem.hint}", soft_wrap=True)


def problem_documents(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return the problems for JSON."""
    return [asdict(problem) for problem in problems]


def show_step(outcome: Outcome, json_: bool) -> None:
    """Print what came of a step."""
    if json_:
        print_json(
            {
                "step": outcome.step.name,
                "state": outcome.state,
                "text": outcome.text,
                "seconds": round(outcome.seconds, 1),
            }
        )
        return
    sign, name = _SIGNS[outcome.state], outcome.step.name
    seconds = f" ({outcome.seconds:.0f} s)" if outcome.state == "done" else ""
    out.print(f"{sign} {name:<13} {_STATES[outcome.state]}: {outcome.text}{seconds}", soft_wrap=True)


class Progress:
    """The line that changes while a step runs; without a terminal, a line whenever it says something new."""

    def __init__(self, json_: bool) -> None:
        """Show the progress; with `json_` on a terminal only."""
        self._status = err.status("looking")
        self._quiet = json_
        self._last = ""
        self._began = time.monotonic()

    def __enter__(self) -> Progress:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def line(self, text: str) -> None:
        """Say what happens now."""
        if text == self._last:
            return
        self._last = text
        self._status.update(text)
        if not err.is_terminal and not self._quiet:
            err.print(f"  [{time.monotonic() - self._began:6.1f} s] {text}", soft_wrap=True)

    def pause(self) -> None:
        """Make place for a question."""
        self._status.stop()

    def go_on(self) -> None:
        """Continue after a question."""
        self._status.start()


def show_state(state: State) -> None:
    """Print what a stack is."""
    for name, text in state.rows:
        out.print(Text(f"{name:<13} {text}"), soft_wrap=True)

"""Runs the steps: from whatever the account has to Loupe at work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from loupe.account.site import Site
from loupe.account.steps import STEPS, Step
from loupe.errors import LoupeError


@dataclass(frozen=True)
class Outcome:
    """What came of a step.

    Attributes:
        step: The step.
        state: `found` if it was done already, `done` if it was done now, `open` if it is to be done.
        text: What is there, or what it will bring about.
        seconds: How long it took.
    """

    step: Step
    state: Literal["found", "done", "open"]
    text: str
    seconds: float


def steps(update: bool) -> Sequence[Step]:
    """Return the steps of a creation, or of an update."""
    return [step for step in STEPS if not (update and step.once)]


def plan(site: Site, update: bool = False) -> list[Outcome]:
    """Return what is there and what is to be done. Nothing is changed."""
    return [_look(site, step) for step in steps(update)]


def _look(site: Site, step: Step) -> Outcome:
    began = time.monotonic()
    found = step.found(site)
    seconds = time.monotonic() - began
    return Outcome(step, "found", found, seconds) if found else Outcome(step, "open", step.what, seconds)


def run(site: Site, update: bool = False) -> Iterator[Outcome]:
    """Do what is to be done, step by step, and yield what came of each.

    Raises:
        LoupeError: A step failed. What is done stays, and a repetition goes on from there.
    """
    for step in steps(update):
        site.on_line(step.what)
        try:
            outcome = _take(site, step)
        except (BotoCoreError, ClientError) as error:
            raise LoupeError(
                f"the step {step.name} failed: {error}",
                "Correct that, and repeat the command: it goes on from here.",
            ) from error
        yield outcome


def _take(site: Site, step: Step) -> Outcome:
    began = time.monotonic()
    if found := step.found(site):
        return Outcome(step, "found", found, time.monotonic() - began)
    return Outcome(step, "done", step.do(site), time.monotonic() - began)

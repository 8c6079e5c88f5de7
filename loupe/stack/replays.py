"""Asks the stack to judge images again. The stack does it by itself: this process only follows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from contract.inspections import Verdict, timestamp
from loupe.errors import LoupeError
from loupe.stack import queues
from loupe.stack.invocations import ask
from loupe.stack.target import Target

_POLL_SECONDS, _LOCAL_POLL_SECONDS = 2.0, 0.1
# So often the queue must seem empty, because SQS counts approximately.
_EMPTY_LOOKS = 10


@dataclass(frozen=True, slots=True)
class Selection:
    """Which images. What is None does not matter.

    Attributes:
        since: Those that were received at or after this time.
        until: And before this one.
        line: Of this production line.
        station: Of this station.
        verdict: With this verdict now.
    """

    since: datetime
    until: datetime
    line: str | None = None
    station: str | None = None
    verdict: Verdict | None = None

    def document(self) -> dict[str, Any]:
        """Return what the function is asked."""
        return {
            "since": timestamp(self.since),
            "until": timestamp(self.until),
            "line": self.line,
            "station": self.station,
            "verdict": self.verdict and self.verdict.value,
        }


@dataclass
class Count:
    """How many images a selection finds.

    Attributes:
        by_verdict: By their verdict now.
        unversioned: Those of a bucket without versions, which cannot be judged again.
    """

    by_verdict: Counter[str] = field(default_factory=Counter)
    unversioned: int = 0

    @property
    def images(self) -> int:
        """How many can be judged again."""
        return self.by_verdict.total()


@dataclass(frozen=True)
class Progress:
    """How far a replay is.

    Attributes:
        id: Its name.
        announced: How many images are announced.
        complete: Whether all are.
        counts: What has become of them, as functions/replay/ counts it.
        stuck: How many are neither judged nor on their way: dead letters, or messages that were dropped.
    """

    id: str
    announced: int
    complete: bool
    counts: dict[str, int]
    stuck: int = 0

    @property
    def done(self) -> int:
        """How many were looked at."""
        return self.counts.get("done", 0)

    @property
    def changed(self) -> dict[str, int]:
        """How many verdicts have changed, as `pass>fail`."""
        moves = {name: number for name, number in self.counts.items() if ">" in name}
        return {name: number for name, number in sorted(moves.items()) if len(set(name.split(">"))) == 2}


def count(target: Target, selection: Selection, on_progress: Callable[[Count], None]) -> Count:
    """Return how many images a selection finds.

    Raises:
        LoupeError: The stack has no such function, or the function fails.
    """
    found, position = Count(), None
    while True:
        answer = _ask(target, {"count": selection.document(), "position": position})
        found.by_verdict.update(answer["by_verdict"])
        found.unversioned += answer["unversioned"]
        on_progress(found)
        if (position := answer["position"]) is None:
            return found


def start(target: Target, selection: Selection, alert: bool) -> Progress:
    """Begin a replay. Nothing is announced yet."""
    asked = {"start": selection.document(), "alert": alert, "by": target.identity.rpartition("/")[2]}
    return _progress(_ask(target, asked))


def follow(target: Target, identity: str, on_progress: Callable[[Progress], None]) -> Progress:
    """Let all images of a replay be announced, and wait until they are judged.

    Args:
        target: The stack.
        identity: The replay. One that was interrupted goes on where it was.
        on_progress: Receives how far it is.

    Raises:
        LoupeError: There is no such replay, or the function fails.
    """
    progress = _progress(_ask(target, {"show": identity}))
    while not progress.complete:
        on_progress(progress)
        progress = _progress(_ask(target, {"announce": identity}))
    empty = 0
    while progress.done < progress.announced and empty < _EMPTY_LOOKS:
        on_progress(progress)
        time.sleep(_LOCAL_POLL_SECONDS if target.local_cloud else _POLL_SECONDS)
        # Read in this order: what leaves the queue in between is counted already.
        empty = 0 if sum(queues.count(target, "ReplayQueueUrl")) else empty + 1
        progress = _progress(_ask(target, {"show": identity}))
    on_progress(progress)
    return Progress(
        progress.id,
        progress.announced,
        True,
        progress.counts,
        max(0, progress.announced - progress.done),
    )


def _progress(answer: dict[str, Any]) -> Progress:
    return Progress(answer["id"], answer["announced"], answer["complete"], answer["counts"])


def _ask(target: Target, asked: dict[str, Any]) -> dict[str, Any]:
    answer = ask(
        target,
        "ReplayFunctionName",
        asked,
        "the images cannot be judged again",
        "Asking again is safe. The function's log says more: loupe logs replay",
    )
    if "unknown" in answer:
        raise LoupeError(
            f"there is no replay {answer['unknown']}, or it is too long ago",
            "Begin one: loupe replay --since TIME",
        )
    return answer

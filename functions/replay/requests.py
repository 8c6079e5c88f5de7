"""What the command asks of the function, and what it answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from replay.announcing import Announcer
from replay.runs import Run, Selection

# What asks waits at most a minute for an answer, and asks again.
_ANSWER_SECONDS = 25.0
_SPARE_SECONDS = 10.0


def answer(announcer: Announcer, event: dict[str, Any], seconds_left: float) -> dict[str, Any]:
    """Return the answer to a request.

    - `{"count": SELECTION, "position"?}`: how many images a selection finds, a part at a time.
    - `{"start": SELECTION, "alert", "by"}`: begin a replay.
    - `{"announce": ID}`: announce a part of a replay's images.
    - `{"show": ID}`: how far it is.

    Args:
        announcer: Counts and announces.
        event: The request.
        seconds_left: The time that remains for this invocation.

    Returns:
        The answer; `{"unknown": ID}` if there is no such replay, or not any more.

    Raises:
        ValueError: It is no such request.
    """
    seconds = min(_ANSWER_SECONDS, max(0.0, seconds_left - _SPARE_SECONDS))
    match event:
        case {"count": dict(selection)}:
            counted = announcer.count(Selection.of(selection), event.get("position"), seconds)
            return {
                "by_verdict": counted.by_verdict,
                "unversioned": counted.unversioned,
                "position": counted.position,
            }
        case {"start": dict(selection), "alert": bool(alert), "by": str(by)}:
            return shown(announcer.runs.start(Selection.of(selection), alert, by, datetime.now(UTC)))
        case {"announce": str(identity)}:
            run = announcer.runs.read(identity)
            return shown(announcer.announce(run, seconds)) if run else {"unknown": identity}
        case {"show": str(identity)}:
            run = announcer.runs.read(identity)
            return shown(run) if run else {"unknown": identity}
    raise ValueError("this is no request of a replay")


def shown(run: Run) -> dict[str, Any]:
    """Return how far a replay is."""
    return {
        "id": run.id,
        "selection": run.selection.document(),
        "alert": run.alert,
        "by": run.by,
        "announced": run.announced,
        "complete": run.complete,
        "counts": run.counts,
    }

"""Why images have no verdict yet."""

from __future__ import annotations

from dataclasses import dataclass

from loupe.stack.target import Target


@dataclass(frozen=True)
class Cause:
    """Why images wait.

    Attributes:
        message: What is the matter, in one sentence.
        hint: The command that mends it; may be empty.
    """

    message: str
    hint: str = ""


def why_waiting(target: Target, since: float) -> Cause | None:
    """Return why images that were uploaded at a time, in seconds since 1970, have no verdict yet; None if unknown."""
    return None

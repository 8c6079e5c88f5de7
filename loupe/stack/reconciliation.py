"""Images without a record: the stack's function finds them, and announces them again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from contract.inspections import timestamp
from loupe.stack.invocations import ask
from loupe.stack.target import Target


@dataclass
class Outcome:
    """What a comparison of bucket and table has found and done.

    Attributes:
        listed: Versions in the bucket.
        compared: Those that must have a record.
        missing: Those that have none.
        dead_letters: Missing ones that are in the dead-letter queue, and stay there.
        announced: Missing ones that were announced again.
        images: The first of the missing ones, as `image`, `version_id` and `uploaded_at`.
        obstacle: Why no more was announced; None if there was no reason.
    """

    listed: int = 0
    compared: int = 0
    missing: int = 0
    dead_letters: int = 0
    announced: int = 0
    images: list[dict[str, str]] = field(default_factory=list)
    obstacle: str | None = None

    def add(self, answer: dict[str, Any]) -> None:
        """Add what one invocation of the function has answered."""
        for name in ("listed", "compared", "missing", "dead_letters", "announced"):
            setattr(self, name, getattr(self, name) + answer[name])
        self.images += answer["images"]
        self.obstacle = answer["obstacle"] or self.obstacle


def reconcile(
    target: Target,
    since: datetime,
    older_than: timedelta,
    dry_run: bool,
    on_progress: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Compare the whole bucket with the table. The function compares for half a minute at a time.

    Args:
        target: The stack.
        since: Compare images that were uploaded at or after this time.
        older_than: And that are at least so old.
        dry_run: Announce nothing.
        on_progress: Receives what was found so far.

    Raises:
        LoupeError: The stack has no such function, or the function fails.
    """
    asked: dict[str, Any] = {
        "since": timestamp(since),
        "older_than_seconds": older_than.total_seconds(),
        "dry_run": dry_run,
        "marker": None,
    }
    outcome = Outcome()
    while True:
        answer = _ask(target, asked)
        outcome.add(answer)
        on_progress(outcome)
        asked |= {"marker": answer["marker"], "announced": outcome.announced}
        # What waits now still waits when the next part is compared.
        if answer["marker"] is None or (outcome.obstacle and not dry_run):
            return outcome


def _ask(target: Target, asked: dict[str, Any]) -> dict[str, Any]:
    return ask(
        target,
        "ReconcileFunctionName",
        asked,
        "the images cannot be compared",
        "Comparing again is safe. The function's log says more: loupe logs reconcile",
    )

"""What the function is asked, and what it answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from contract.inspections import timestamp
from reconciliation.passes import Passes
from reconciliation.reconciler import Findings
from reconciliation.versions import Marker

# Between the last page and the end of the invocation.
_SPARE_SECONDS = 30.0
# What asks waits at most a minute for an answer, and asks again with the marker.
_ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """A comparison that a person asks for, or the next part of that on the schedule.

    Attributes:
        since: Compare images that were uploaded at or after this time; None on the schedule.
        older_than: And that are at least so old.
        marker: Behind which version to go on.
        dry_run: Announce nothing.
        announced: How many images earlier parts have announced.
    """

    since: datetime | None = None
    older_than: timedelta = timedelta()
    marker: Marker | None = None
    dry_run: bool = False
    announced: int = 0

    @classmethod
    def of(cls, event: dict[str, Any]) -> Request:
        """Return the request in an event; without `since`, that of the schedule."""
        if "since" not in event:
            return cls()
        marker = event.get("marker")
        return cls(
            datetime.fromisoformat(event["since"]),
            timedelta(seconds=event["older_than_seconds"]),
            Marker(**marker) if marker else None,
            bool(event.get("dry_run")),
            int(event.get("announced", 0)),
        )

    def run(self, passes: Passes, seconds_left: float) -> Findings:
        """Compare as far as the time allows."""
        seconds = max(0.0, seconds_left - _SPARE_SECONDS)
        if self.since is None:
            return passes.go_on(seconds)
        span = passes.span(self.since, self.older_than)
        seconds = min(seconds, _ANSWER_SECONDS)
        return passes.reconciler.compare(span, self.marker, seconds, self.dry_run, self.announced)


def report(found: Findings) -> dict[str, Any]:
    """Return the answer."""
    images = [
        {"image": image, "version_id": version_id, "uploaded_at": timestamp(version.stored_at)}
        for version in found.shown
        for image, version_id in [version.identity]
    ]
    return {
        "listed": found.listed,
        "compared": found.compared,
        "missing": found.missing,
        "dead_letters": found.dead,
        "announced": found.announced,
        "images": images,
        "obstacle": found.obstacle,
        "marker": asdict(found.end) if found.end else None,
    }

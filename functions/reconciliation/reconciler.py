"""Compares the bucket with the table, and announces the images again that have no record."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from contract.announcements import StoredVersion
from inspection.store import Inspections
from reconciliation.queues import Queues
from reconciliation.versions import Marker, Versions

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Span:
    """Which images are compared.

    Attributes:
        since: Those that were uploaded at or after this time.
        before: And before this one. An image that is younger may be on its way to its record.
    """

    since: datetime
    before: datetime


@dataclass
class Findings:
    """What a comparison has found and done.

    Attributes:
        listed: Versions in the bucket, of whatever age.
        compared: Those that must have a record.
        missing: Those that have none.
        dead: Missing ones that are in the dead-letter queue, and stay there.
        announced: Missing ones that were announced again.
        oldest: When the oldest missing one was uploaded.
        shown: The first of the missing ones.
        obstacle: Why nothing was announced.
        end: Where to go on; None if all versions were listed.
    """

    listed: int = 0
    compared: int = 0
    missing: int = 0
    dead: int = 0
    announced: int = 0
    oldest: datetime | None = None
    shown: list[StoredVersion] = field(default_factory=list)
    obstacle: str | None = None
    end: Marker | None = None


@dataclass(frozen=True)
class Reconciler:
    """Announces images again.

    An image that is announced twice is inspected twice, and has one record: the table takes the first one and refuses
    the second (inspection/store.py). So a comparison may be repeated, interrupted, or run beside another.

    Attributes:
        versions: The images in the bucket.
        inspections: The table.
        queues: What waits.
        clock: Returns seconds.
    """

    versions: Versions
    inspections: Inspections
    queues: Queues
    clock: Callable[[], float] = time.monotonic

    def compare(
        self, span: Span, start: Marker | None, seconds: float, dry_run: bool = False, announced: int = 0
    ) -> Findings:
        """Compare page by page, until all are compared or the time is over.

        Args:
            span: Which images.
            start: Behind which version to begin.
            seconds: After how many seconds no further page is begun.
            dry_run: Announce nothing.
            announced: How many images the same comparison has announced before.

        Raises:
            UnsentError: SQS did not take an announcement.
            UnreadError: DynamoDB did not answer for all records.
        """
        found = Findings(obstacle=self.queues.obstacle(announced))
        deadline = self.clock() + seconds
        dead: set[tuple[str, str]] | None = None
        for page in self.versions.pages(start):
            found.listed += len(page.versions)
            missing = self._without_record(page.versions, span, found)
            if missing and dead is None:
                dead = self.queues.dead_letters()
            self._announce(missing, dead or set(), found, dry_run)
            found.end = page.end
            if self.clock() >= deadline:
                break
        return found

    def _without_record(
        self, versions: Sequence[StoredVersion], span: Span, found: Findings
    ) -> list[StoredVersion]:
        due = [version for version in versions if version.has_a_record_to_come(span.since, span.before)]
        recorded = self.inspections.recorded([version.identity for version in due])
        missing = [version for version in due if version.identity not in recorded]
        found.compared += len(due)
        found.missing += len(missing)
        found.shown += missing[: _SHOWN - len(found.shown)]
        times = [version.stored_at for version in missing]
        found.oldest = min([found.oldest, *times] if found.oldest else times, default=None)
        return missing

    def _announce(
        self, missing: Sequence[StoredVersion], dead: set[tuple[str, str]], found: Findings, dry_run: bool
    ) -> None:
        lost = [version for version in missing if version.identity not in dead]
        found.dead += len(missing) - len(lost)
        if not dry_run and not found.obstacle:
            self.queues.announce(lost)
            found.announced += len(lost)

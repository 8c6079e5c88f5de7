"""The last inspections with what people have decided about them, for previews and proposals of rules."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from api import aws
from api.inspections import search
from api.settings import Reviews
from inspection.cases import Case, case_of
from inspection.index_reading import Wanted
from inspection.records import Record
from review.latest import latest_decisions

MOST = 10_000
_BACK = timedelta(days=90)
_PAGE = 1000
_SECONDS = 14.0  # of the function's 29: the rest is for judging


@dataclass(frozen=True)
class Cases:
    """The last inspections, as far as the time sufficed.

    Attributes:
        cases: Newest first.
        notes: What a person should know about them, as sentences.
    """

    cases: list[Case]
    notes: list[str]


def read(last: int, line: str | None) -> Cases:
    """Return the last inspections of a line, or of all lines.

    Args:
        last: How many.
        line: The production line; None for all.
    """
    records, in_time = _records(last, line)
    notes = []
    if not in_time:
        notes.append(f"Only {len(records):,} of {last:,} images were read, because there was no more time.")
    elif len(records) < last:
        notes.append(f"There are only {len(records):,} images of the last {_BACK.days} days.")
    decided = [str(record["id"]) for record in records if "review" in record]
    decisions = latest_decisions(aws.dynamodb(), Reviews.read().reviews_table, decided)
    return Cases([case_of(record, decisions.get(str(record["id"]))) for record in records], notes)


def _records(last: int, line: str | None) -> tuple[list[Record], bool]:
    """Return records, newest first, and whether the time has sufficed."""
    deadline = time.monotonic() + _SECONDS
    now = datetime.now(UTC)
    wanted, records, position = Wanted(now - _BACK, now, line), list[Record](), None
    while True:
        page = search().page(wanted, min(_PAGE, last - len(records)), position)
        records += page.records
        position = page.position
        if position is None or len(records) >= last:
            return records, True
        if time.monotonic() >= deadline:
            return records, False

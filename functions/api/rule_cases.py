"""The last inspections with what people have decided about them, for previews and proposals of rules."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from api import aws
from api.inspections import search
from api.settings import Reviews
from contract.text import counted
from inspection.cases import Case, case_of
from inspection.index_reading import Wanted
from inspection.records import Record
from review.latest import latest_decisions

MOST = 10_000
_BACK = timedelta(days=90)
_LONGEST_GAP = timedelta(days=14)  # what was inspected before a longer one says little about today
_PAGE = 1000
_PAGE_QUERIES = 100  # so that a gap is noticed
_SECONDS = 10.0  # of the function's 29: the rest is for judging


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
    records, reached, in_time = _records(last, line)
    notes = []
    if not in_time:
        notes.append(
            f"Only {counted(len(records), 'image')} could be read, back to {reached}: there was no more time."
        )
    elif len(records) < last:
        notes.append(f"Only {counted(len(records), 'image')} could be found since {reached}.")
    decided = [str(record["id"]) for record in records if "review" in record]
    decisions = latest_decisions(aws.dynamodb(), Reviews.read().reviews_table, decided)
    return Cases([case_of(record, decisions.get(str(record["id"]))) for record in records], notes)


def _records(last: int, line: str | None) -> tuple[list[Record], str, bool]:
    """Return records, newest first, to which day they go back, and whether the time has sufficed."""
    deadline = time.monotonic() + _SECONDS
    now = datetime.now(UTC)
    wanted, records, position = Wanted(now - _BACK, now, line), list[Record](), None
    reader = replace(search(), max_queries=_PAGE_QUERIES)
    while True:
        page = reader.page(wanted, min(_PAGE, last - len(records)), position)
        records += page.records
        position = page.position
        if position is None:
            return records, f"{wanted.since:%Y-%m-%d}", True
        oldest = datetime.fromisoformat(records[-1]["received_at"]) if records else now
        reached = datetime.fromisoformat(position[:10]).replace(tzinfo=UTC)
        if len(records) >= last or oldest - reached > _LONGEST_GAP:
            return records, f"{reached:%Y-%m-%d}", True
        if time.monotonic() >= deadline:
            return records, f"{reached:%Y-%m-%d}", False

"""Finds inspection records by the table's indexes, newest first, page by page. It never scans the table.

The indexes spread each day over several partitions. So a page reads all partitions of a day side by side, and merges
them by time. What no index knows (station, defect, model) is filtered; then a page reads a bounded number of records,
and may be short, with a position from which the next one goes on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from contract.inspections import partition, timestamp
from inspection.index_reading import THREADS, VERDICTS, Budget, Reader, Stretch, Table, Wanted, index_for
from inspection.records import Record

MAX_READ = 2_000
MAX_QUERIES = 400
# The counters follow the records within seconds. An hour that may still be open is always searched.
_SURE_AFTER = timedelta(hours=2)
# A time_id, or an hour at which a stretch of time has ended.
_POSITION = re.compile(r"\d{4}-\d\d-\d\dT\d\d(:\d\d:\d\d\.\d{3}Z(#[0-9a-f]{32})?)?")
_BRIDGED_HOURS = 2  # so near to each other, two hours are read in one go
_END = "~"  # sorts behind all that may follow a timestamp in a time_id


class Activity(Protocol):
    """What is known of when and where images were inspected, so that a search skips what is empty."""

    def lines(self, station: str | None) -> Collection[str]:
        """Return all lines; those that have such a station, if one is given."""

    def on(self, day: date, wanted: Wanted) -> Mapping[str, Collection[str]] | None:
        """Return the hours of a day (`2026-01-31T08`) in which something may match, each with its lines.

        None if that is not known.
        """


@dataclass(frozen=True, slots=True)
class Page:
    """A part of what was found.

    Attributes:
        records: Newest first.
        position: Where the next page goes on; None at the end.
    """

    records: list[Record]
    position: str | None


@dataclass(frozen=True)
class Search:
    """Finds records.

    Attributes:
        table: The inspections table.
        index_shards: Over how many partitions each index spreads a day.
        activity: When and where something was inspected.
        max_read: The most records that a page reads, about.
        max_queries: The most queries that it makes, about.
    """

    table: Table
    index_shards: int
    activity: Activity
    max_read: int = MAX_READ
    max_queries: int = MAX_QUERIES

    def page(self, wanted: Wanted, limit: int, position: str | None = None) -> Page:
        """Return a page of what is wanted, newest first.

        Args:
            wanted: What to find.
            limit: The most records to return.
            position: Where the page before ended.

        Raises:
            ValueError: The position is none.
        """
        if position is not None and not _POSITION.fullmatch(position):
            raise ValueError(f"{position!r} is no position")
        found, budget = list[Record](), Budget(self.max_read, self.max_queries)
        with ThreadPoolExecutor(THREADS) as pool:
            reader = Reader(self.table, wanted, position, pool, budget)
            for stretch in self._stretches(wanted, position):
                records, frontier = reader.read(stretch, limit - len(found))
                found += records
                if frontier is not None or budget.is_spent:
                    return Page(found, frontier or stretch.low)
        return Page(found, None)

    def _stretches(self, wanted: Wanted, position: str | None) -> Iterator[Stretch]:
        """Yield where to read, newest first."""
        low, high = timestamp(wanted.since), position or timestamp(wanted.until) + _END
        if wanted.serial is not None:
            yield from _clipped(Stretch(low, high, (wanted.serial,)), low, high)
            return
        for day in _days(low[:10], high[:10]):
            # The counters cost a read, too. A page is mostly full before the end of its first day.
            asks = wanted.is_narrow or day.isoformat() != high[:10]
            hours = self.activity.on(day, wanted) if asks else None
            if hours is None:
                owners = self._owners(wanted, None)
                stretches = [self._stretch(f"{day}T00", f"{day}T23", owners)]
            else:
                stretches = list(self._active(day, hours, wanted))
            for stretch in stretches:
                yield from _clipped(stretch, low, high)

    def _active(self, day: date, hours: Mapping[str, Collection[str]], wanted: Wanted) -> Iterator[Stretch]:
        """Yield the parts of a day in which something may match, newest first."""
        sure = (datetime.now(UTC) - _SURE_AFTER).isoformat()
        owners: set[str] = set()
        first = last = ""
        for number in reversed(range(24)):
            hour = f"{day}T{number:02d}"
            known = hours.get(hour, ()) if hour < sure[:13] else None
            here = self._owners(wanted, known)
            if not here:
                continue
            if owners and int(first[-2:]) - number > _BRIDGED_HOURS:
                yield self._stretch(first, last, sorted(owners))
                owners.clear()
            if not owners:
                last = hour
            first = hour
            owners.update(here)
        if owners:
            yield self._stretch(first, last, sorted(owners))

    def _owners(self, wanted: Wanted, lines: Collection[str] | None) -> tuple[str, ...]:
        """Return whose partitions to read: lines or verdicts. lines: where something may match; None: anywhere."""
        if lines is not None and not lines:
            return ()
        if index_for(wanted) is VERDICTS:
            return wanted.verdicts
        if wanted.line is not None:
            return (wanted.line,)
        return tuple(sorted(self.activity.lines(wanted.station) if lines is None else lines))

    def _stretch(self, first_hour: str, last_hour: str, owners: Sequence[str]) -> Stretch:
        names = (partition(owner, first_hour[:10], n) for owner in owners for n in range(self.index_shards))
        return Stretch(first_hour, last_hour + _END, tuple(names))


def _days(first: str, last: str) -> Iterator[date]:
    """Yield days, newest first."""
    day = date.fromisoformat(last)
    while day.isoformat() >= first:
        yield day
        day -= timedelta(days=1)


def _clipped(stretch: Stretch, low: str, high: str) -> Iterator[Stretch]:
    """Yield a stretch as far as it is between two time_ids."""
    clipped = Stretch(max(stretch.low, low), min(stretch.high, high), stretch.partitions)
    if clipped.low <= clipped.high and clipped.partitions:
        yield clipped

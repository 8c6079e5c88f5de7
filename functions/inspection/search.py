"""Finds inspection records by the table's indexes, newest first, page by page. It never scans the table.

The indexes spread each day over several partitions. So a page reads all partitions of a day side by side, and merges
them by time. What no index knows (station, defect, model) is filtered; then a page reads a bounded number of records,
and may be short, with a position from which the next one goes on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Protocol

from contract.inspections import partition, timestamp
from inspection.index_reading import THREADS, VERDICTS, Budget, Reader, Stretch, Table, Wanted, index_for
from inspection.records import Record

MAX_READ = 2_000
MAX_QUERIES = 400
# A time_id, or an hour at which a stretch of time has ended.
_POSITION = re.compile(r"\d{4}-\d\d-\d\dT\d\d(:\d\d:\d\d\.\d{3}Z(#[0-9a-f]{32})?)?")
_BRIDGED_HOURS = 2  # so near to each other, two hours are read in one go
_END = "~"  # sorts behind all that may follow a timestamp in a time_id


class Activity(Protocol):
    """What is known of when and where images were inspected, so that a search skips what is empty."""

    def lines(self, station: str | None) -> Collection[str]:
        """Return all lines; those that have such a station, if one is given."""

    def hours(self, wanted: Wanted) -> Iterator[str]:
        """Yield the hours (`2026-01-31T08`) in which something may match, newest first."""


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
            stretches = iter([Stretch(low, high, (wanted.serial,))])
        else:
            stretches = self._active(replace(wanted, until=_time(high)))
        for stretch in stretches:
            clipped = Stretch(max(stretch.low, low), min(stretch.high, high), stretch.partitions)
            if clipped.low <= clipped.high:
                yield clipped

    def _active(self, wanted: Wanted) -> Iterator[Stretch]:
        """Yield the parts of each day in which something may match, newest first."""
        if index_for(wanted) is VERDICTS:
            owners: Collection[str] = wanted.verdicts
        else:
            owners = self.activity.lines(wanted.station) if wanted.line is None else [wanted.line]
        if not owners:
            return
        for day, hours in groupby(self.activity.hours(wanted), key=lambda hour: hour[:10]):
            shards = range(self.index_shards)
            partitions = tuple(partition(owner, day, n) for owner in owners for n in shards)
            for first, last in _joined(int(hour[-2:]) for hour in hours):
                yield Stretch(f"{day}T{first:02d}", f"{day}T{last:02d}{_END}", partitions)


def _joined(hours: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of hours that are near to each other. They come newest first.

    >>> list(_joined([20, 19, 17, 3]))
    [(17, 20), (3, 3)]
    """
    first = last = -1
    for hour in hours:
        if last >= 0 and first - hour > _BRIDGED_HOURS:
            yield first, last
            last = -1
        first, last = hour, max(last, hour)
    if last >= 0:
        yield first, last


def _time(high: str) -> datetime:
    """Return the time of the greatest time_id."""
    at = high.rstrip(_END).partition("#")[0]
    return datetime.fromisoformat(at if len(at) > len("2026-01-31T08") else f"{at}:00:00Z")

"""Counts records, and puts them into the feed: each exactly once, however often and in whatever order they come.

The records of a batch and what they add to the counters are written in transactions. A record's item in the feed is
written on the condition that it does not exist yet. So a transaction with a record that is counted already is cancelled
as a whole, and repeated without that record. What a crash cuts off comes again with the stream's next delivery.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from inspection.records import Record
from tracking.cells import Cell, cell_of, item_keys
from tracking.counters import Counts, counts_of, updates
from tracking.replaced import Replacements, is_replaceable
from tracking.summaries import feed_items
from tracking.transactions import ATTEMPTS, MOST_ACTIONS, Result, Transactions

_logger = logging.getLogger(__name__)
_ITEMS_OF_A_RECORD = 2  # in the feed, if it is late


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """A record that is to be counted."""

    record: Record
    cell: Cell
    counts: Counts


@dataclass(frozen=True, slots=True)
class Tracker:
    """Counts records.

    Attributes:
        transactions: Writes to the statistics table.
        is_queued: Whether a record enters the review queue. It always says the same about the same record.
        now: Returns the time.
    """

    transactions: Transactions
    is_queued: Callable[[Record], bool]
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def count(self, records: list[Record]) -> list[Record]:
        """Count those of the records that are not counted yet.

        Returns:
            Those that could not be counted for now. They may be given again, together with any others.
        """
        failed: list[Record] = []
        entries: dict[tuple[str, str], _Entry] = {}
        for record in records:
            counts = counts_of(record, queued=self.is_queued(record))
            if not is_replaceable(record):
                entries[record["image"], record["version_id"]] = _Entry(record, cell_of(record), counts)
            elif not Replacements(self.transactions).count(record, counts, self.now):
                failed.append(record)
        for chunk in _chunks(list(entries.values())):
            failed += self._count_chunk(chunk)
        return failed

    def _count_chunk(self, chunk: list[_Entry]) -> list[Record]:
        """Count records in one transaction. Return those that could not be counted for now."""
        for attempt in range(ATTEMPTS):
            if not chunk:
                break
            at = self.now()
            puts = [(entry, put) for entry in chunk for put in self._puts(entry.record, at)]
            outcome = self.transactions.write([put for _, put in puts] + self._added(chunk))
            if outcome.result is Result.WRITTEN:
                break
            if outcome.result is Result.CONDITION_FAILED:
                counted = {id(puts[index][0]) for index in outcome.failed}
                chunk = [entry for entry in chunk if id(entry) not in counted]
            elif outcome.result is Result.REFUSED:
                return self._count_singly(chunk)
            else:
                self.transactions.pause(attempt)
        else:
            return [entry.record for entry in chunk]
        return []

    def _count_singly(self, chunk: list[_Entry]) -> list[Record]:
        """Count each of some records alone, because DynamoDB refuses one of them, and will always refuse it."""
        if len(chunk) == 1:
            _logger.error("a record cannot be counted", extra={"image": chunk[0].record["image"]})
            return []
        return [record for entry in chunk for record in self._count_chunk([entry])]

    def _puts(self, record: Record, at: datetime) -> list[Any]:
        mark, *late = feed_items(record, at)
        return [self.transactions.put_once(mark), *map(self.transactions.put, late)]

    def _added(self, chunk: list[_Entry]) -> list[Any]:
        cells: dict[Cell, Counts] = {}
        for entry in chunk:
            cells.setdefault(entry.cell, Counts()).update(entry.counts)
        expires_at = max(int(entry.record["expires_at"]) for entry in chunk)
        return updates(self.transactions.table_name, cells, expires_at)


def _chunks(entries: list[_Entry]) -> Iterator[list[_Entry]]:
    """Yield the entries in as few groups as fit into transactions; those of a cell are together."""
    chunk: list[_Entry] = []
    counters: set[tuple[str, str]] = set()
    for entry in sorted(entries, key=lambda entry: entry.cell):
        more = counters | set(item_keys(entry.cell))
        if chunk and _ITEMS_OF_A_RECORD * (len(chunk) + 1) + len(more) > MOST_ACTIONS:
            yield chunk
            chunk, more = [], set(item_keys(entry.cell))
        chunk, counters = [*chunk, entry], more
    if chunk:
        yield chunk

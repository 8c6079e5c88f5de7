"""How much the busiest partition of each table is written and read, by the keys that the functions give.

A partition of DynamoDB takes 1,000 write units and 3,000 read units a second:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
A write unit is 1 KB, twice in a transaction:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from loupe.cost.usage import calls
from loupe.scale.load import Load, Stack
from loupe.scale.quotas import value

_IN_A_TRANSACTION = 2
_MOST_ACTIONS = 100  # of a transaction: functions/tracking/transactions.py
_OF_A_RECORD = 2  # actions that functions/tracking/tracker.py keeps room for
_OF_A_CELL = 2  # its counters: one by the hour, one by the day
_KB, _READ = 1024, 4096
# What a page reads again, because records can be written late: functions/tracking/feed.py.
FEED_OVERLAP_SECONDS = 8.0


def record_writes(load: Load) -> float:
    """Return the write units a second of the inspections table: each record, and the mark of its alert."""
    return load.rate * _record_units() * (1 + load.marked)


def line_index_writes(load: Load, stack: Stack) -> float:
    """Return the write units a second of a partition of `by_line_time`, `<line>#<day>#<shard>`.

    The index holds whole records, so that a mark writes there, too.
    """
    return load.rate / load.lines / stack.shards * _record_units() * (1 + load.marked)


def verdict_index_writes(load: Load, stack: Stack) -> float:
    """Return the same for `by_verdict_time`, `<verdict>#<day>#<shard>`, whose verdicts are those of all lines."""
    return load.rate * max(load.failing, load.review) / stack.shards * _record_units() * 2


def feed_writes(load: Load) -> float:
    """Return the write units a second of a line's feed, `feed#<line>`."""
    return load.rate / load.lines * _units(calls()["bytes"]["feed"]) * _IN_A_TRANSACTION


def feed_reads(load: Load) -> float:
    """Return the read units a second of a line's feed: each open page asks once a second."""
    asked = calls()["dashboard"]["requests_per_hour"] / 3600
    items = load.rate / load.lines * FEED_OVERLAP_SECONDS
    return float(load.dashboards * asked * items * calls()["bytes"]["feed"] / _READ)


def queue_writes(load: Load, stack: Stack) -> float:
    """Return the write units a second of a line's review queue, `open#<line>`: an item comes, and goes again."""
    return load.rate / load.lines * stack.queued(load) * _units(calls()["bytes"]["review"]) * 2


def places_writes(load: Load) -> float:
    """Return the write units a second of the list of stations, `places`: at most two a minute of each function."""
    return load.places * stream_shards(load) * 2 / 60


def stream_shards(load: Load) -> int:
    """Return the shards of the inspections table's stream: one for each partition, of which a new table has four."""
    first = value("dynamodb.new-table-writes") / value("dynamodb.partition-writes")
    return max(int(first), math.ceil(record_writes(load) / value("dynamodb.partition-writes")))


@dataclass(frozen=True, slots=True)
class Batches:
    """The batches of new records that are counted.

    Attributes:
        each: Batches a second, of all shards.
        records: Records of a batch.
        cells: Stations in a batch, on average.
        transactions: Transactions for a batch.
    """

    each: float
    records: float
    cells: float
    transactions: int

    @classmethod
    def of(cls, load: Load, stack: Stack) -> Batches:
        """Return the batches that a load makes: the first record waits for others until the window ends."""
        of_a_shard = load.rate / stream_shards(load)
        records = min(float(stack.track_batch), 1 + of_a_shard * stack.track_window)
        cells = load.places * _seen(load.places, records)
        actions = _OF_A_RECORD * records + _OF_A_CELL * cells
        return cls(load.rate / records, records, cells, math.ceil(actions / _MOST_ACTIONS))

    @property
    def counter_writes(self) -> float:
        """Write units a second of the counters of a day, `hour#<day>`, which all stations share."""
        return self.each * max(self.cells, self.transactions) * _IN_A_TRANSACTION

    def visits(self, places: int) -> float:
        """Return how many transactions a second write the same station's counter."""
        return self.each * _seen(places, self.records) * max(1.0, self.transactions / self.cells)


def _seen(places: int, records: float) -> float:
    """Return how likely a station is among some records, each of which is of any station."""
    return 1 - float((1 - 1 / places) ** records)


def _record_units() -> int:
    return _units(calls()["bytes"]["record"])


def _units(size: float) -> int:
    return math.ceil(size / _KB)

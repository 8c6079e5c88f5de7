"""What happens with the new records of the inspections table's stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspection.records import Record
from tracking.places import Places
from tracking.tracker import Tracker

# What is added to a record later. A new record has none of them, also if it replaces another one.
_ADDED_LATER = ("alert", "picture", "thumbnail", "review", "acknowledged")


@dataclass(frozen=True, slots=True)
class Stream:
    """Takes each new record to where it belongs. What a crash cuts off is repeated as a whole.

    Attributes:
        places: Learns the lines and stations first, because a feed of a line that nobody knows is never read.
        tracker: Counts the records, and puts them into the feed.
    """

    places: Places
    tracker: Tracker

    def process(self, batch: Sequence[tuple[str, Record]]) -> list[str]:
        """Process a batch.

        Args:
            batch: The sequence number and the record of each change, in the order of the stream.

        Returns:
            The sequence numbers of those that the stream must deliver again. It also delivers again what follows the
            first of them: https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
        """
        new = {number: record for number, record in batch if _is_new(record)}
        self.places.see(list(new.values()))
        failed = {id(record) for record in self.tracker.count(list(new.values()))}
        return [number for number, record in new.items() if id(record) in failed]


def _is_new(record: Record) -> bool:
    return not any(name in record for name in _ADDED_LATER)

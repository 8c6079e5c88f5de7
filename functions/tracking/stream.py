"""What happens with the new records of the inspections table's stream."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inspection.records import Record
from tracking.places import Places
from tracking.tracker import Tracker

_logger = logging.getLogger(__name__)
# What is added to a record later. A new record has none of them, also if it replaces another one.
_ADDED_LATER = ("alert", "picture", "thumbnail", "view_key", "review", "acknowledged")


@dataclass(frozen=True, slots=True)
class Stream:
    """Takes each new record to where it belongs. Each step may be repeated, and after a crash all of them are.

    Attributes:
        places: Learns the lines and stations first, because nobody reads the feed of a line that is not listed.
        enqueue: Puts a record into the review queue, if it belongs there.
        tracker: Counts the records, and puts them into the feed.
    """

    places: Places
    enqueue: Callable[[Record], None]
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
        records = list(new.values())
        self.places.see(records)
        failed = [record for record in records if not self._enqueued(record)] + self.tracker.count(records)
        again = {id(record) for record in failed}
        return [number for number, record in new.items() if id(record) in again]

    def _enqueued(self, record: Record) -> bool:
        """Return whether a record is where it belongs."""
        try:
            self.enqueue(record)
        # Whatever it is: a record that the queue cannot take must not keep others out of the counters and the feed.
        except Exception:
            _logger.exception("a record could not be put into the review queue")
            return False
        return True


def _is_new(record: Record) -> bool:
    """Return whether an item of the table is a record that was just written. A heat map is no record."""
    return "verdict" in record and not any(name in record for name in _ADDED_LATER)

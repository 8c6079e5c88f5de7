"""Records of a bucket without versions: a new upload of an image replaces its record, and moves its count.

An item for each such image keeps what was counted of it. It is read first, and written on the condition that it is
still the same, so of two writers one reads again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer

from contract.s3 import UNVERSIONED
from inspection.events import normalise_sequencer
from inspection.records import Record
from tracking.cells import Cell, cell_of
from tracking.counters import Counts, updates
from tracking.summaries import feed_items
from tracking.transactions import ATTEMPTS, Result, Transactions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_deserialize = TypeDeserializer().deserialize
_UNCHANGED = "sequencer = :sequencer AND received_at = :received_at"


def is_replaceable(record: Record) -> bool:
    """Return whether a later upload replaces a record."""
    return bool(record["version_id"] == UNVERSIONED)


@dataclass(frozen=True, slots=True)
class Replacements:
    """Counts records that a later upload may replace."""

    transactions: Transactions

    def count(self, record: Record, counts: Counts, now: Any) -> bool:
        """Count a record, and no longer the one that it replaces.

        Args:
            record: The record.
            counts: What it adds to the counters.
            now: Returns the time.

        Returns:
            Whether it is counted: False if it could not be for now.
        """
        for attempt in range(ATTEMPTS):
            mark = self._read(record)
            if mark and _order(record) <= _order(mark):
                return True
            outcome = self.transactions.write(self._actions(record, counts, mark, now()))
            if outcome.result in (Result.WRITTEN, Result.REFUSED):
                return True
            if outcome.result is Result.BUSY:
                self.transactions.pause(attempt)
        return False

    def _read(self, record: Record) -> dict[str, Any] | None:
        key = {name: {"S": value} for name, value in _key(record).items()}
        reply = self.transactions.client.get_item(
            TableName=self.transactions.table_name, Key=key, ConsistentRead=True
        )
        item = reply.get("Item")
        return {name: _deserialize(value) for name, value in item.items()} if item else None

    def _actions(
        self, record: Record, counts: Counts, mark: dict[str, Any] | None, at: datetime
    ) -> list[TransactWriteItemTypeDef]:
        items, cell = feed_items(record, at), cell_of(record)
        places = [item["sk"] for item in items]
        new_mark = _key(record) | {
            "sequencer": record["sequencer"],
            "received_at": record["received_at"],
            "cell": [cell.hour, cell.line, cell.station, cell.model],
            "counts": dict(counts),
            "feed": places,
            "expires_at": int(record["expires_at"]),
        }
        changes = {cell: Counts(counts)}
        actions = [self.transactions.put(item) for item in items]
        if mark is None:
            actions.append(self.transactions.put_once(new_mark))
        else:
            changes.setdefault(Cell(*mark["cell"]), Counts()).subtract(
                {name: int(number) for name, number in mark["counts"].items()}
            )
            values = {f":{name}": {"S": mark[name]} for name in ("sequencer", "received_at")}
            unchanged = {"ConditionExpression": _UNCHANGED, "ExpressionAttributeValues": values}
            actions.append(self.transactions.put(new_mark, **unchanged))
            former = [place for place in mark["feed"] if place not in places]
            actions += [self.transactions.delete({"pk": items[0]["pk"], "sk": place}) for place in former]
        return actions + updates(self.transactions.table_name, changes, int(record["expires_at"]))


def _key(record: Record) -> dict[str, str]:
    return {"pk": f"counted#{record['id']}", "sk": "-"}


def _order(record: dict[str, Any]) -> tuple[str, str]:
    """Return what orders the events of one image: the sequencer, or the time if there is none.

    `inspection/store.py` lets the same event win.
    """
    missing = record["sequencer"] == normalise_sequencer("")
    return record["sequencer"], record["received_at"] if missing else ""

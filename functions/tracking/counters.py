"""The counters of the statistics table, as actions for a transaction with what they count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contract.inspections import Verdict
from inspection.records import Record, classes_of
from tracking.cells import Cell, cell_of, day_expiry, item_keys

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

Counts = Counter[str]
INSPECTED, DEFECT, DOUBT, QUEUED, DECIDED = "inspected", "defect:", "doubt:", "queued:", "decided:"
# By verdict: the prefix of the counters of its classes.
CLASS_PREFIXES: Mapping[str, str] = {Verdict.FAIL: DEFECT, Verdict.REVIEW: DOUBT}


@dataclass(frozen=True, slots=True)
class Decided:
    """What a person has decided about an image.

    Attributes:
        verdict: `pass`, `fail` or `unusable`.
        labels: The classes that the decision is about.
    """

    verdict: str
    labels: frozenset[str] = frozenset()


def counts_of(record: Record, *, queued: bool) -> Counts:
    """Return what a record adds to the counters of its cell.

    A class is counted once for each image, however often it was found in it.

    Args:
        record: The inspection record.
        queued: Whether the image enters the review queue.
    """
    verdict = record["verdict"]
    counts = Counts({INSPECTED: 1, verdict: 1})
    counts.update({CLASS_PREFIXES[verdict] + label: 1 for label in classes_of(record)})
    if queued:
        counts[QUEUED + verdict] = 1
    return counts


def decision_updates(
    table_name: str, record: Record, before: Decided | None, after: Decided | None
) -> list[TransactWriteItemTypeDef]:
    """Return the actions that count the last decision about an image, for the transaction that writes it.

    Args:
        table_name: The statistics table.
        record: The inspection record that was decided about.
        before: The last decision until now; None if there was none.
        after: The decision that replaces it; None if it is withdrawn.
    """
    moved = Counts(decided_counts(record, after))
    moved.subtract(decided_counts(record, before))
    return updates(table_name, {cell_of(record): moved}, int(record["expires_at"]))


def decided_counts(record: Record, decision: Decided | None) -> Counts:
    """Return what a decision about a record adds to the counters of its cell; nothing without a decision."""
    if decision is None:
        return Counts()
    name = f"{DECIDED}{record['verdict']}:{decision.verdict}"
    return Counts([name, *(f"{name}:{label}" for label in decision.labels)])


def updates(table_name: str, cells: Mapping[Cell, Counts], expires_at: int) -> list[TransactWriteItemTypeDef]:
    """Return the actions that add counts to the items by the hour and by the day. No item occurs twice.

    Args:
        table_name: The statistics table.
        cells: What to add.
        expires_at: When the records that are counted are deleted, in seconds since 1970.
    """
    items: tuple[dict[tuple[str, str], Counts], ...] = ({}, {})
    for cell, counts in cells.items():
        for item, key in zip(items, item_keys(cell), strict=True):
            item.setdefault(key, Counts()).update(counts)
    expiries = (expires_at, day_expiry(expires_at))
    actions = [
        _add(table_name, key, counts, expiry)
        for item, expiry in zip(items, expiries, strict=True)
        for key, counts in item.items()
    ]
    return [action for action in actions if action]


def _add(table_name: str, key: tuple[str, str], counts: Counts, expires_at: int) -> Any:
    changed = sorted(name for name, number in counts.items() if number)
    if not changed:
        return None
    added = ", ".join(f"#n{index} :n{index}" for index in range(len(changed)))
    return {
        "Update": {
            "TableName": table_name,
            "Key": {"pk": {"S": key[0]}, "sk": {"S": key[1]}},
            "UpdateExpression": f"SET expires_at = :expires_at ADD {added}",
            "ExpressionAttributeNames": {f"#n{index}": name for index, name in enumerate(changed)},
            "ExpressionAttributeValues": {
                ":expires_at": {"N": str(expires_at)},
                **{f":n{index}": {"N": str(counts[name])} for index, name in enumerate(changed)},
            },
        }
    }

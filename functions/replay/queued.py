"""What a new judgement changes in the review queue. What people have decided stays as it is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from contract.inspections import timestamp
from inspection.records import Record
from review.items import to_item
from review.lists import Item
from review.queue import OPEN, live_claim

# Of an entry, what follows from the judgement. `queue` and `rank` are the keys of the list of open items.
_OF_THE_JUDGEMENT = ("verdict", "cause", "share", "priority", "why", "rank")


def change(
    table_name: str, item: Item | None, wanted: Item | None, record: Record, now: datetime
) -> tuple[Any | None, bool]:
    """Return the action for the transaction, and whether the image is in the queue afterwards, or was decided about.

    Args:
        table_name: The reviews table.
        item: What the queue has of the image; None for nothing.
        wanted: What it shall have; None if the new judgement does not belong into the queue.
        record: The record with its new judgement.
        now: The time.
    """
    if item is None:
        return (_put(table_name, wanted), True) if wanted else (None, False)
    if item["state"] != OPEN:
        return _update(table_name, item, {"verdict": record["verdict"]}), True
    if wanted:
        return _update(table_name, item, {name: wanted[name] for name in _OF_THE_JUDGEMENT}), True
    if live_claim(item, now):
        # Somebody is looking at it: it stays until he has decided.
        return _update(table_name, item, {"verdict": record["verdict"]}), True
    return _delete(table_name, item, now), False


def _put(table_name: str, item: Item) -> Any:
    return {
        "Put": {
            "TableName": table_name,
            "Item": to_item(item),
            "ConditionExpression": "attribute_not_exists(id)",
        }
    }


def _update(table_name: str, item: Item, fields: dict[str, Any]) -> Any:
    names = {f"#{name}": name for name in (*fields, "version", "state")}
    values = {f":{name}": value for name, value in fields.items()}
    return {
        "Update": {
            "TableName": table_name,
            "Key": to_item({"id": item["id"]}),
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in fields),
            # Nobody has decided meanwhile.
            "ConditionExpression": "#version = :seen AND #state = :state",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": to_item(
                {**values, ":seen": item["version"], ":state": item["state"]}
            ),
        }
    }


def _delete(table_name: str, item: Item, now: datetime) -> Any:
    return {
        "Delete": {
            "TableName": table_name,
            "Key": to_item({"id": item["id"]}),
            "ConditionExpression": "#version = :seen AND #state = :state "
            "AND (attribute_not_exists(#claim) OR #claim.#until <= :now)",
            "ExpressionAttributeNames": {f"#{name}": name for name in ("version", "state", "claim", "until")},
            "ExpressionAttributeValues": to_item(
                {":seen": item["version"], ":state": item["state"], ":now": timestamp(now)}
            ),
        }
    }

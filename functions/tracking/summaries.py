"""The feed's items: a short form of each record, which is also the mark that the record has been counted.

A feed has a partition for each line, in the order of the inspections. A record of a bucket with versions is written
once, so its place in the feed is its own, and an item there says that it is counted.

Whoever follows the feed asks for what comes behind the last item that he has. A record that is counted late would lie
before that item, so it gets a second item at the time when it was counted (`LATE`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from contract.inspections import timestamp
from inspection.records import Record

LATE = timedelta(seconds=3)
# The records' stream keeps records for 24 hours, so that none comes again after that. DynamoDB deletes an item some
# days after its expiry.
_DAYS = timedelta(days=2)
_FIELDS = (
    *("id", "image", "version_id", "line", "station", "serial", "verdict", "severity", "model"),
    *("received_at", "inspected_at", "rules_version"),
)
_REASON_FIELDS = ("code", "message", "label", "score")
_MOST_REASONS = 3


def feed_partition(line: str) -> str:
    """Return the partition of a line's feed."""
    return f"feed#{line}"


def feed_key(record: Record, at: str | None = None) -> dict[str, str]:
    """Return the key of a record's item in the feed.

    Args:
        record: The inspection record.
        at: Another time than that of the inspection.
    """
    return {"pk": feed_partition(record["line"]), "sk": f"{at or record['inspected_at']}#{record['id']}"}


def summary(record: Record, counted_at: datetime) -> dict[str, Any]:
    """Return the content of a record's item in the feed, without its key.

    Args:
        record: The inspection record.
        counted_at: When the item is written.
    """
    reasons = [
        {name: reason[name] for name in _REASON_FIELDS if name in reason}
        for reason in record["reasons"][:_MOST_REASONS]
    ]
    return {
        **{name: record[name] for name in _FIELDS if name in record},
        "reasons": reasons,
        "counted_at": timestamp(counted_at),
        "expires_at": int((counted_at + _DAYS).timestamp()),
    }


def feed_items(record: Record, counted_at: datetime) -> list[dict[str, Any]]:
    """Return the items of a record: the first is also its mark, and there is a second if it is late."""
    content = summary(record, counted_at)
    items = [feed_key(record) | content]
    if counted_at - datetime.fromisoformat(record["inspected_at"]) > LATE:
        items.append(feed_key(record, timestamp(counted_at)) | content)
    return items

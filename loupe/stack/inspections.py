"""Read inspections back: by line, by verdict, by time.

The table's indexes spread each day over `IndexShards` partitions (a DynamoDB partition takes 1,000 writes a
second), so a query asks each shard of each day and merges the answers by time.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from boto3.dynamodb.conditions import Key

from contract.inspections import (
    BY_LINE,
    BY_VERDICT,
    LINE_PARTITION,
    RARE_VERDICTS,
    VERDICT_PARTITION,
    partition,
    timestamp,
)
from loupe.errors import LoupeError
from loupe.stack.target import Target

Inspection = dict[str, Any]
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def plain(value: Any) -> Any:
    """DynamoDB's Decimals and sets as the numbers and lists that JSON knows."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, set, tuple)):
        return [plain(inner) for inner in value]
    return value


def moment(text: str, now: datetime) -> datetime:
    """A point in time: `90s`, `15m`, `2h` or `7d` ago, or ISO 8601 (UTC where it names no zone).

    Raises:
        LoupeError: it is neither.
    """
    if ago := re.fullmatch(r"(\d+)([smhd])", text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise LoupeError(f"{text!r} is no time", "Write 15m, 2h, 7d, or 2026-01-31T08:00.") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _days(since: datetime, until: datetime) -> Iterator[str]:
    day = until.astimezone(UTC).date()
    while day >= since.astimezone(UTC).date():
        yield day.isoformat()
        day -= timedelta(days=1)


def _shard(table: Any, index: str, key: str, bucket: str, since: str, until: str) -> Iterator[Inspection]:
    """One partition of one index, newest first, page by page."""
    condition = Key(key).eq(bucket) & Key("time_id").between(since, until + "~")
    arguments: dict[str, Any] = {
        "IndexName": index,
        "KeyConditionExpression": condition,
        "ScanIndexForward": False,
    }
    while True:
        page = table.query(**arguments)
        yield from map(plain, page["Items"])
        if "LastEvaluatedKey" not in page:
            return
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def query(
    target: Target,
    *,
    line: str | None,
    verdict: str | None,
    since: datetime,
    until: datetime,
    limit: int,
) -> list[Inspection]:
    """Inspections received between two times, newest first.

    With a line, all of its verdicts; without one, what needs a person (fail, review, unreadable), because the
    index by verdict leaves the passes out to stay small.

    Raises:
        LoupeError: passes asked for without a line.
    """
    if verdict == "pass" and line is None:
        raise LoupeError("passes are indexed by line only", "Add --line NAME.")
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    shards = int(target.output("IndexShards"))
    if verdict in RARE_VERDICTS or line is None:
        index, key = BY_VERDICT, VERDICT_PARTITION
        owners = [verdict] if verdict else list(RARE_VERDICTS)
    else:
        index, key, owners = BY_LINE, LINE_PARTITION, [line]

    def newest_first() -> Iterator[Inspection]:
        for day in _days(since, until):
            pieces = [
                _shard(table, index, key, partition(owner, day, shard), timestamp(since), timestamp(until))
                for owner in owners
                for shard in range(shards)
            ]
            yield from heapq.merge(*pieces, key=lambda record: record["time_id"], reverse=True)

    wanted = (
        record
        for record in newest_first()
        if (line is None or record["line"] == line) and (verdict is None or record["verdict"] == verdict)
    )
    return list(islice(wanted, limit))

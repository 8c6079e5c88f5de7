"""Query the inspection records by line, by verdict, and by time.

The table's indexes spread each day over `IndexShards` partitions, because a DynamoDB partition takes 1,000 writes
a second. So a query reads every shard of every day, and merges the results by time.
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
    Verdict,
    partition,
    timestamp,
)
from loupe.errors import LoupeError
from loupe.stack.target import Target

Inspection = dict[str, Any]
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def to_json_types(value: Any) -> Any:
    """Convert DynamoDB's Decimals and sets to the numbers and lists that JSON has."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: to_json_types(member) for key, member in value.items()}
    if isinstance(value, (list, set, tuple)):
        return [to_json_types(member) for member in value]
    return value


def parse_time(text: str, now: datetime) -> datetime:
    """Return a point in time.

    Args:
        text: `90s`, `15m`, `2h` or `7d` ago, or ISO 8601 (UTC if it has no time zone).
        now: What the first form counts back from.

    Raises:
        LoupeError: The text has neither form.
    """
    if ago := re.fullmatch(r"(\d+)([smhd])", text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise LoupeError(f"{text!r} is not a time", "Write 15m, 2h, 7d, or 2026-01-31T08:00.") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def query(
    target: Target,
    *,
    line: str | None,
    verdict: str | None,
    since: datetime,
    until: datetime,
    limit: int,
) -> list[Inspection]:
    """Return the inspections that were received between two times, newest first.

    Without a line and a verdict it returns what needs a person's attention (fail, review, unreadable): the index
    by verdict does not contain the passes, so that it stays small.

    Raises:
        LoupeError: Passes are asked for without a line.
    """
    if verdict == Verdict.PASS and line is None:
        raise LoupeError("passes are indexed by line only", "Add --line NAME.")
    records = (
        record
        for record in _newest_first(target, line, verdict, since, until)
        if (line is None or record["line"] == line) and (verdict is None or record["verdict"] == verdict)
    )
    return list(islice(records, limit))


def _newest_first(
    target: Target, line: str | None, verdict: str | None, since: datetime, until: datetime
) -> Iterator[Inspection]:
    """Yield the records of the index that fits best; it may also contain other lines or verdicts."""
    if verdict in RARE_VERDICTS or line is None:
        index, key = BY_VERDICT, VERDICT_PARTITION
        owners = [verdict] if verdict else list(RARE_VERDICTS)
    else:
        index, key, owners = BY_LINE, LINE_PARTITION, [line]
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    shards = range(int(target.output("IndexShards")))
    for day in _days(since, until):
        partitions = [partition(owner, day, shard) for owner in owners for shard in shards]
        pages = [_read_partition(table, index, key, name, since, until) for name in partitions]
        yield from heapq.merge(*pages, key=lambda record: record["time_id"], reverse=True)


def _days(since: datetime, until: datetime) -> Iterator[str]:
    """Yield the days in UTC, newest first."""
    day = until.astimezone(UTC).date()
    while day >= since.astimezone(UTC).date():
        yield day.isoformat()
        day -= timedelta(days=1)


def _read_partition(
    table: Any, index: str, key: str, name: str, since: datetime, until: datetime
) -> Iterator[Inspection]:
    """Yield the records of one partition of an index, newest first; each page is read when it is needed."""
    # A time_id is a timestamp and more, and "~" sorts behind all that may follow the timestamp.
    between = Key("time_id").between(timestamp(since), timestamp(until) + "~")
    arguments: dict[str, Any] = {
        "IndexName": index,
        "KeyConditionExpression": Key(key).eq(name) & between,
        "ScanIndexForward": False,
    }
    while True:
        page = table.query(**arguments)
        yield from map(to_json_types, page["Items"])
        if "LastEvaluatedKey" not in page:
            return
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

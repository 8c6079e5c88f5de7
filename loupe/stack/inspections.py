"""Query the inspection records by line, by verdict, by serial, and by time.

The table's indexes spread each day over `IndexShards` partitions, because a DynamoDB partition takes 1,000 writes
a second. So a query reads every shard of every day, and merges the results by time.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from boto3.dynamodb.conditions import Key

from contract.inspections import (
    BY_LINE,
    BY_SERIAL,
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
_BATCH = 100  # keys that BatchGetItem takes
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
        text: `90s`, `15m`, `2h` or `7d` ago, or ISO 8601 (local time if it has no time zone).
        now: What the first form counts back from.

    Raises:
        LoupeError: The text has neither form, or means a time before the year 1.
    """
    try:
        if ago := re.fullmatch(r"(\d+)([smhd])", text):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise LoupeError(f"{text!r} is not a time", "Write 15m, 2h, 7d, or 2026-01-31T08:00.") from None


@dataclass(frozen=True)
class Filter:
    """Which inspections to return.

    Attributes:
        since: The earliest time at which an image was received.
        until: The latest one.
        line: None for all lines.
        station: None for all stations.
        serial: None for all serials.
        verdict: None for all verdicts; without a line and a serial, for those that need attention.
    """

    since: datetime
    until: datetime
    line: str | None = None
    station: str | None = None
    serial: str | None = None
    verdict: str | None = None

    def __post_init__(self) -> None:
        """Check the filter.

        Raises:
            LoupeError: It begins after it ends, or asks for passes without a line or serial.
        """
        if self.since > self.until:
            raise LoupeError(
                f"the time span begins ({self.since:%Y-%m-%d %H:%M}) after it ends ({self.until:%Y-%m-%d %H:%M} UTC)",
                "--since is the earlier time: --since 3h --until 2h.",
            )
        if self.verdict == Verdict.PASS and self.line is None and self.serial is None:
            raise LoupeError("passes are indexed by line only", "Add --line NAME or --serial NAME.")

    def accepts(self, record: Inspection) -> bool:
        """Return whether a record has the line, station, serial and verdict."""
        wanted = (
            ("line", self.line),
            ("station", self.station),
            ("serial", self.serial),
            ("verdict", self.verdict),
        )
        return all(value is None or record[name] == value for name, value in wanted)


def query(target: Target, wanted: Filter, limit: int) -> list[Inspection]:
    """Return inspections, newest first.

    Without a line, a serial and a verdict it returns what needs a person's attention (fail, review, unreadable): the
    index by verdict does not contain the passes, so that it stays small.
    """
    return list(islice(filter(wanted.accepts, _newest_first(target, wanted)), limit))


def _newest_first(target: Target, wanted: Filter) -> Iterator[Inspection]:
    """Yield the records of the index that fits best; it may also contain other lines or verdicts."""
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    if wanted.serial is not None:
        keys = _read_partition(table, BY_SERIAL, "serial", wanted.serial, wanted.since, wanted.until)
        yield from _whole_records(target, table.name, keys)
        return
    if wanted.verdict in RARE_VERDICTS:
        index, key, owners = BY_VERDICT, VERDICT_PARTITION, [wanted.verdict]
    elif wanted.line is not None:
        index, key, owners = BY_LINE, LINE_PARTITION, [wanted.line]
    else:
        index, key, owners = BY_VERDICT, VERDICT_PARTITION, list(RARE_VERDICTS)
    shards = range(int(target.output("IndexShards")))
    for day in _days(wanted.since, wanted.until):
        partitions = [partition(owner, day, shard) for owner in owners for shard in shards]
        pages = [_read_partition(table, index, key, name, wanted.since, wanted.until) for name in partitions]
        yield from heapq.merge(*pages, key=lambda record: record["time_id"], reverse=True)


def _whole_records(target: Target, table: str, keys: Iterator[Inspection]) -> Iterator[Inspection]:
    """Yield the records of some keys, in their order. The index by serial contains the keys alone."""
    while batch := list(islice(keys, _BATCH)):
        order = [(key["image"], key["version_id"]) for key in batch]
        found: dict[tuple[str, str], Inspection] = {}
        wanted: Any = {table: {"Keys": [{"image": image, "version_id": version} for image, version in order]}}
        while wanted:
            reply = target.dynamodb.batch_get_item(RequestItems=wanted)
            for record in map(to_json_types, reply["Responses"].get(table, [])):
                found[record["image"], record["version_id"]] = record
            wanted = reply.get("UnprocessedKeys")
        yield from (found[key] for key in order if key in found)


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

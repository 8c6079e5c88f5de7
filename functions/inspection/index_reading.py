"""Reads the partitions of the inspections table's indexes side by side, and merges them by time."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer

from contract.inspections import (
    BY_ID,
    BY_LINE,
    BY_SERIAL,
    BY_VERDICT,
    LINE_PARTITION,
    RARE_VERDICTS,
    VERDICT_PARTITION,
    Verdict,
)
from inspection.records import Record, classes_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

THREADS = 16  # as many as a client has connections
_MAX_BATCH = 100  # keys in a BatchGetItem
_deserialize = TypeDeserializer().deserialize


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which inspections to find. What is None does not matter.

    Attributes:
        since: The earliest time at which an image was received.
        until: The latest one.
        line: The production line.
        station: The station.
        serial: The serial of the part.
        verdict: The verdict.
        defect: A class for which the image failed, or went to review.
        model: The version of the model.
    """

    since: datetime
    until: datetime
    line: str | None = None
    station: str | None = None
    serial: str | None = None
    verdict: Verdict | None = None
    defect: str | None = None
    model: str | None = None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts that a record may have."""
        possible = (Verdict.FAIL, Verdict.REVIEW) if self.defect else tuple(Verdict)
        return tuple(verdict for verdict in possible if self.verdict in (None, verdict))

    @property
    def is_narrow(self) -> bool:
        """Whether more is wanted than an index knows."""
        return bool(self.station or self.defect or self.model or (self.verdict and self.line))

    def accepts(self, record: Record) -> bool:
        """Return whether a record has the line, station, serial, verdict, defect and model."""
        model = (record.get("model") or {}).get("version")
        pairs = (
            (self.line, record["line"]),
            (self.station, record["station"]),
            (self.serial, record["serial"]),
            (self.model, model),
        )
        return (
            all(wanted is None or wanted == found for wanted, found in pairs)
            and record["verdict"] in self.verdicts
            and (self.defect is None or self.defect in classes_of(record))
        )


@dataclass(frozen=True, slots=True)
class Index:
    """An index. key: the name of its partition key. holds_all: whether it holds whole records, or their keys."""

    name: str
    key: str
    holds_all: bool = True


LINES = Index(BY_LINE, LINE_PARTITION)
VERDICTS = Index(BY_VERDICT, VERDICT_PARTITION)
SERIALS = Index(BY_SERIAL, "serial", holds_all=False)
IDS = Index(BY_ID, "id", holds_all=False)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time, and the partitions of an index that hold it. low, high: the least and the greatest time_id."""

    low: str
    high: str
    partitions: tuple[str, ...]


@dataclass(slots=True)
class _Shard:
    """One partition, as far as it was read. frontier: the last time_id that was read; None if all were."""

    partition: str
    frontier: str | None
    start_key: Any = None
    records: deque[Record] = field(default_factory=deque)

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is known of its next record."""
        return not self.records and self.frontier is not None


@dataclass(slots=True)
class Budget:
    """How many records a page may still read, and how many queries it may still make."""

    records: int
    queries: int

    @property
    def is_spent(self) -> bool:
        return self.records <= 0 or self.queries <= 0


@dataclass(frozen=True)
class Table:
    """The inspections table, read by keys and by indexes.

    Attributes:
        client: Of DynamoDB.
        name: The table's name.
    """

    client: DynamoDBClient
    name: str

    def by_id(self, identity: str) -> Record | None:
        """Return the record of an id, by a consistent read."""
        keys = self.keys_of(identity)
        if not keys:
            return None
        reply = self.client.get_item(TableName=self.name, Key=keys[0], ConsistentRead=True)
        return read_item(reply["Item"]) if "Item" in reply else None

    def by_ids(self, identities: Sequence[str]) -> list[Record]:
        """Return the records of some ids, in their order. What does not exist is left out."""
        with ThreadPoolExecutor(THREADS) as pool:
            return self.records([key for keys in pool.map(self.keys_of, identities) for key in keys])

    def keys_of(self, identity: str) -> list[Any]:
        """Return the key of the record of an id, or nothing."""
        reply = self.client.query(
            TableName=self.name,
            IndexName=IDS.name,
            KeyConditionExpression="#key = :id",
            ExpressionAttributeNames={"#key": IDS.key},
            ExpressionAttributeValues={":id": {"S": identity}},
            Limit=1,
        )
        return [key_of(item) for item in reply["Items"]]

    def records(self, keys: Sequence[Any]) -> list[Record]:
        """Return the records of some keys of the table, in their order. What does not exist is left out."""
        found: dict[tuple[str, str], Record] = {}
        waiting = list(keys)
        while waiting:
            batch, waiting = waiting[:_MAX_BATCH], waiting[_MAX_BATCH:]
            reply = self.client.batch_get_item(RequestItems={self.name: {"Keys": batch}})
            for item in reply["Responses"].get(self.name) or ():
                record = read_item(item)
                found[record["image"], record["version_id"]] = record
            if left := reply.get("UnprocessedKeys", {}).get(self.name):
                waiting += left["Keys"]
        order = [(key["image"]["S"], key["version_id"]["S"]) for key in keys]
        return [found[names] for names in order if names in found]


@dataclass(frozen=True)
class Reader:
    """Reads the partitions of a stretch side by side, and merges them."""

    table: Table
    wanted: Wanted
    position: str | None
    pool: ThreadPoolExecutor
    budget: Budget

    def read(self, stretch: Stretch, limit: int) -> tuple[list[Record], str | None]:
        """Return records, newest first, and where to go on; None if the stretch has been read."""
        shards = [_Shard(name, stretch.high) for name in stretch.partitions]
        found: list[Record] = []
        while True:
            found += _merged(shards, limit - len(found))
            if len(found) == limit:
                return found, found[-1]["time_id"]
            waiting = [shard for shard in shards if shard.is_waiting]
            if not waiting:
                return found, None
            if self.budget.is_spent:
                # What is newer than this has been returned; what was read beyond is read again.
                return found, max(str(shard.frontier) for shard in waiting)
            heads = [shard.records[0]["time_id"] for shard in shards if shard.records]
            blocking = [shard for shard in waiting if not heads or str(shard.frontier) > max(heads)]
            fetch = functools.partial(self._fetch, stretch=stretch, size=self._size(limit, len(shards)))
            for read in self.pool.map(fetch, blocking):
                self.budget.records -= read
                self.budget.queries -= 1

    def _size(self, limit: int, shards: int) -> int:
        """Return how many records to ask a partition for.

        About its share of a page; if few of them will match, its share of a third of what may still be read.
        """
        wanted = self.budget.records // 3 if self.wanted.is_narrow else 2 * limit
        return max(8, wanted // shards)

    def _fetch(self, shard: _Shard, stretch: Stretch, size: int) -> int:
        """Read more of a partition. Return how many records were read."""
        index = index_for(self.wanted)
        names, values, conditions = _conditions(self.wanted) if index.holds_all else ({}, {}, "")
        arguments: dict[str, Any] = {
            "TableName": self.table.name,
            "IndexName": index.name,
            "KeyConditionExpression": "#key = :key AND time_id BETWEEN :low AND :high",
            "ExpressionAttributeNames": {"#key": index.key} | names,
            "ExpressionAttributeValues": {
                ":key": {"S": shard.partition},
                ":low": {"S": stretch.low},
                ":high": {"S": stretch.high},
                **values,
            },
            "ScanIndexForward": False,
            "Limit": size,
        }
        if conditions:
            arguments["FilterExpression"] = conditions
        if shard.start_key:
            arguments["ExclusiveStartKey"] = shard.start_key
        reply = self.table.client.query(**arguments)
        items = [item for item in reply["Items"] if item["time_id"]["S"] != self.position]
        records = (
            [read_item(item) for item in items]
            if index.holds_all
            else self.table.records([key_of(item) for item in items])
        )
        shard.records.extend(filter(self.wanted.accepts, records))
        shard.start_key = reply.get("LastEvaluatedKey")
        shard.frontier = shard.start_key["time_id"]["S"] if shard.start_key else None
        return reply["ScannedCount"]


def _merged(shards: Sequence[_Shard], limit: int) -> list[Record]:
    """Take the newest records out of the shards, as far as their order is sure."""
    found: list[Record] = []
    while len(found) < limit:
        newest = max((s for s in shards if s.records), key=lambda s: s.records[0]["time_id"], default=None)
        floor = max((str(shard.frontier) for shard in shards if shard.is_waiting), default="")
        if newest is None or newest.records[0]["time_id"] < floor:
            break
        found.append(newest.records.popleft())
    return found


def index_for(wanted: Wanted) -> Index:
    """Return the index that reads the least. That by verdict holds the rare verdicts alone."""
    if wanted.serial is not None:
        return SERIALS
    return VERDICTS if set(wanted.verdicts) <= set(RARE_VERDICTS) else LINES


def _conditions(wanted: Wanted) -> tuple[dict[str, str], dict[str, Any], str]:
    """Return what DynamoDB itself can filter by, so that fewer records travel: names, values, expression."""
    pairs = {
        "line": wanted.line,
        "station": wanted.station,
        "verdict": wanted.verdict,
        "model.version": wanted.model,
    }
    asked = {name: value for name, value in pairs.items() if value is not None}
    parts = {part for name in asked for part in name.split(".")}
    paths = {name: ".".join(f"#{part}" for part in name.split(".")) for name in asked}
    expression = " AND ".join(f"{path} = :{n}" for n, path in enumerate(paths.values()))
    values = {f":{n}": {"S": str(value)} for n, value in enumerate(asked.values())}
    return {f"#{part}": part for part in parts}, values, expression


def key_of(item: Mapping[str, Any]) -> Any:
    """Return the key of an item."""
    return {"image": item["image"], "version_id": item["version_id"]}


def read_item(item: Mapping[str, Any]) -> Record:
    """Return the record that an item is."""
    return {name: _deserialize(value) for name, value in item.items()}

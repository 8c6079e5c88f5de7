"""Reads the feed: what was inspected since somebody asked last, of all lines.

Nobody misses a record, although several processes write them, and not in the order of their times. The time of an
item is that of the inspection, and an item that is written more than `LATE` after it has a second one at the time of
the writing (summaries.py). A write ends at most `_WRITING` after the time that it states. So what appears after a
moment has a time of at most `_OVERLAP` before that moment, and who asks again gets that overlap read again. Of it, only
what was written since the last question is returned. For that the clocks are compared with a tolerance, so that an item
can be returned twice within some seconds. The reader tells items apart by `id` and `inspected_at`.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from boto3.dynamodb.types import TypeDeserializer

from contract.inspections import timestamp
from tracking.summaries import LATE, feed_partition

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]

_deserialize = TypeDeserializer().deserialize
_WRITING = timedelta(seconds=4)  # the timeouts of clients.dynamodb_once, and some spare
_CLOCKS = timedelta(seconds=1)  # the most by which the clocks of two functions differ
_OVERLAP = LATE + _WRITING + _CLOCKS
_LONGEST_OVERLAP = timedelta(minutes=1)
_PAGE = 1000
_CONNECTIONS = 8
_END = "~"  # behind every time
_TIME = re.compile(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_LENGTH_OF_A_TIME = 24
_INTERNAL = ("pk", "sk", "expires_at", "counted_at")


class Position(NamedTuple):
    """How far somebody has read.

    Attributes:
        place: The sort key of the last item.
        asked_at: When he asked, as a timestamp.
        more: Whether there was more behind the last item.
    """

    place: str
    asked_at: str
    more: bool

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the position that was written as a JSON list.

        Raises:
            ValueError: It is none.
        """
        match json.loads(text):
            case [str(place), str(asked_at), bool(more)] if _TIME.match(place) and _TIME.fullmatch(asked_at):
                for time in (place[:_LENGTH_OF_A_TIME], asked_at):
                    datetime.fromisoformat(time)
                return cls(place, asked_at, more)
        raise ValueError("this is no position")


class _Part(NamedTuple):
    """A part of a line's feed: its items, and the sort key up to which it is complete."""

    items: list[Item]
    complete_to: str


@dataclass(frozen=True, slots=True)
class Feed:
    """Reads the feeds of the lines.

    Attributes:
        client: Of DynamoDB.
        table_name: The statistics table.
        now: Returns the time.
    """

    client: DynamoDBClient
    table_name: str
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def newest(self, lines: Sequence[str], limit: int) -> tuple[list[Item], Position]:
        """Return the newest items, the oldest of them first, and the position behind them.

        Args:
            lines: The lines.
            limit: How many items at most.
        """
        at = timestamp(self.now())
        # Late items are there twice.
        parts = self._of_lines(lambda line: self._page(line, "0", backwards=True, limit=2 * limit), lines)
        items = _distinct(heapq.merge(*(page["Items"] for page in parts), key=_place, reverse=True))[:limit]
        items.reverse()
        return _shown(items), Position(_place(items[-1]) if items else at, at, more=False)

    def after(self, lines: Sequence[str], position: Position, limit: int) -> tuple[list[Item], Position]:
        """Return what has appeared since a position, oldest first, and the next position.

        Args:
            lines: The lines.
            position: Where the last answer ended.
            limit: How many items at most, apart from late ones.
        """
        at = timestamp(self.now())
        position = _not_ahead(position, at)
        overlap = _before(position.asked_at, _OVERLAP)
        first = min(position.place, overlap) if position.more else overlap
        # No answer has such a position, but a client could make it up, and have two days read.
        first = max(first, _before(position.place, _LONGEST_OVERLAP))
        written = _before(position.asked_at, _WRITING + _CLOCKS)
        parts = self._of_lines(lambda line: self._read(line, first, position.place), lines)
        complete_to = min((part.complete_to for part in parts), default=_END)
        merged = list(heapq.merge(*(part.items for part in parts), key=_place))
        late = [item for item in merged if _place(item) <= position.place and _counted_at(item) >= written]
        new = [item for item in merged if position.place < _place(item) <= complete_to]
        more = len(new) > limit or complete_to != _END
        place = _place(new[:limit][-1]) if new else position.place
        return _shown(_distinct([*late, *new[:limit]])), _not_ahead(Position(place, at, more), at)

    def _of_lines(self, read: Callable[[str], Any], lines: Sequence[str]) -> list[Any]:
        """Return what `read` returns for each line. The lines are asked at the same time."""
        if len(lines) <= 1:
            return [read(line) for line in lines]
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            return list(pool.map(read, lines))

    def _read(self, line: str, first: str, place: str) -> _Part:
        """Read a line's feed: one page, or as many as are needed to get behind `place`."""
        items: list[Item] = []
        while True:
            page = self._page(line, _place(items[-1]) if items else first)
            items += page["Items"]
            if "LastEvaluatedKey" not in page:
                return _Part(items, _END)
            if _place(items[-1]) > place:
                return _Part(items, _place(items[-1]))

    def _page(self, line: str, behind: str, *, backwards: bool = False, limit: int = _PAGE) -> Any:
        return self.client.query(
            TableName=self.table_name,
            KeyConditionExpression="pk = :pk AND sk > :behind",
            ExpressionAttributeValues={":pk": {"S": feed_partition(line)}, ":behind": {"S": behind}},
            ScanIndexForward=not backwards,
            Limit=limit,
            ConsistentRead=True,
        )


def _place(item: Item) -> str:
    return str(item["sk"]["S"])


def _counted_at(item: Item) -> str:
    return str(item["counted_at"]["S"])


def _before(place: str, by: timedelta) -> str:
    """Return a time before that of a sort key, which begins with it."""
    return timestamp(datetime.fromisoformat(place[:_LENGTH_OF_A_TIME]) - by)


def _not_ahead(position: Position, at: str) -> Position:
    """Return a position that is not in the future.

    It is if the machine's clock was set back since it was written, or since the last item. Nothing would appear behind
    it until the clock is there again. What is ahead of the clock appears in each answer, so there is no more of it to
    ask for.
    """
    if _before(max(position.asked_at, position.place), _CLOCKS) <= at:
        return position
    more = position.more and position.place <= at
    return Position(min(position.place, at), min(position.asked_at, at), more)


def _distinct(items: Iterable[Item]) -> list[Item]:
    """Return the items without the second ones of records that were late."""
    found: dict[tuple[str, str], Item] = {}
    for item in items:
        found.setdefault((item["id"]["S"], item["inspected_at"]["S"]), item)
    return list(found.values())


def _shown(items: Iterable[Item]) -> list[Item]:
    return [
        {name: _deserialize(value) for name, value in item.items() if name not in _INTERNAL} for item in items
    ]

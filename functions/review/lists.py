"""The lists of the reviews table: what is open, what is decided, and about what people disagree."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from contract.inspections import timestamp
from review.items import from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]

BY_QUEUE, BY_DECIDED = "by_queue", "by_decided"
DISAGREEMENT = "disagreement"  # the queue of the images about which people disagree
MOST_COUNTED = 2000  # of open items: a longer queue needs no exact number
LINES = "lines"  # the queue of the items that name the lines, one each
_PAGE = 25
_MONTHS = 15  # of decided items; after about a year the records are deleted, and their reviews with them


def open_queue(line: str) -> str:
    """Return the queue of a line's open items."""
    return f"open#{line}"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ReviewLists:
    """Reads the reviews table by its indexes.

    Attributes:
        client: The DynamoDB client.
        table_name: The reviews table.
        clock: Returns the time.
    """

    client: DynamoDBClient
    table_name: str
    clock: Callable[[], datetime] = _now

    def open_items(self, line: str | None = None, after: str | None = None) -> Iterator[Item]:
        """Yield the open items, the most deserving first.

        Args:
            line: Only of this line.
            after: The `rank` of an item: only those behind it.
        """
        lines = self.lines() if line is None else [line]
        yield from heapq.merge(*(self._of_line(name, after) for name in lines), key=lambda item: item["rank"])

    def disagreements(self, line: str | None = None, before: str | None = None) -> Iterator[Item]:
        """Yield the items about which people disagree, the last decided first. before: the `rank` of an item."""
        values = {":queue": DISAGREEMENT}
        condition = "queue = :queue"
        if before is not None:
            condition, values = "queue = :queue AND #rank < :before", {**values, ":before": before}
        yield from self._query(BY_QUEUE, condition, values, line=line, backwards=True)

    def decided(self, line: str | None = None, before: Item | None = None) -> Iterator[Item]:
        """Yield the decided items, the last decided first.

        Args:
            line: Only of this line.
            before: The `id` and `decided_at` of an item: only those decided before it.
        """
        start = before and {**before, "decided_month": month_of(before["decided_at"])}
        month = start["decided_month"] if start else month_of(timestamp(self.clock()))
        for _ in range(_MONTHS):
            yield from self._query(
                BY_DECIDED,
                "decided_month = :month",
                {":month": month},
                line=line,
                backwards=True,
                start=start,
            )
            month, start = _month_before(month), None

    def count_open(self, line: str | None = None) -> int:
        """Return how many items are open; `MOST_COUNTED` also stands for more."""
        total = 0
        for name in self.lines() if line is None else [line]:
            pages = self.client.get_paginator("query").paginate(
                TableName=self.table_name,
                IndexName=BY_QUEUE,
                Select="COUNT",
                KeyConditionExpression="queue = :queue",
                ExpressionAttributeValues=to_item({":queue": open_queue(name)}),
            )
            for page in pages:
                total += page["Count"]
                if total >= MOST_COUNTED:
                    return MOST_COUNTED
        return total

    def count_disagreements(self, since: str, until: str, line: str | None = None) -> int:
        """Return about how many images people disagree that they decided about in a time span.

        Args:
            since: Its start, ISO 8601 in UTC.
            until: Its end.
            line: Only of this line.
        """
        values = {":queue": DISAGREEMENT, ":since": since, ":until": until}
        condition = "queue = :queue AND #rank BETWEEN :since AND :until"
        return sum(1 for _ in self._query(BY_QUEUE, condition, values, line=line))

    def lines(self) -> list[str]:
        """Return the lines that ever had a queue."""
        return [item["rank"] for item in self._query(BY_QUEUE, "queue = :queue", {":queue": LINES})]

    def _of_line(self, line: str, after: str | None) -> Iterator[Item]:
        values = {":queue": open_queue(line)}
        if after is None:
            yield from self._query(BY_QUEUE, "queue = :queue", values)
        else:
            yield from self._query(BY_QUEUE, "queue = :queue AND #rank > :after", {**values, ":after": after})

    def _query(
        self,
        index: str,
        condition: str,
        values: Mapping[str, str],
        *,
        line: str | None = None,
        backwards: bool = False,
        start: Item | None = None,
    ) -> Iterator[Item]:
        request: dict[str, Any] = {
            "TableName": self.table_name,
            "IndexName": index,
            "KeyConditionExpression": condition,
            "ScanIndexForward": not backwards,
            "Limit": _PAGE,
        }
        names = {"#rank": "rank"} if "#rank" in condition else {}
        if line is not None:
            request["FilterExpression"], names["#line"], values = (
                "#line = :line",
                "line",
                {**values, ":line": line},
            )
        if names:
            request["ExpressionAttributeNames"] = names
        request["ExpressionAttributeValues"] = to_item(values)
        if start:
            request["ExclusiveStartKey"] = to_item(start)
        while True:
            page = self.client.query(**request)
            yield from map(from_item, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def month_of(at: str) -> str:
    """Return the partition of the index by decision.

    >>> month_of("2026-01-31T08:00:00.000Z")
    '2026-01'
    """
    return at[:7]


def _month_before(month: str) -> str:
    """Return the month before one.

    >>> _month_before("2026-01")
    '2025-12'
    """
    return (date.fromisoformat(f"{month}-01") - timedelta(days=1)).isoformat()[:7]

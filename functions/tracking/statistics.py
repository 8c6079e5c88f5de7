"""Reads the counters: what was inspected and found, by the hour or the day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracking.cells import Cell, cell_at, days_partition, hours_partition
from tracking.counters import Counts
from tracking.spans import By, Span

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of which images. What is None does not matter.

    Attributes:
        line: The production line.
        station: The station.
        model: The version of the model.
    """

    line: str | None = None
    station: str | None = None
    model: str | None = None

    def accepts(self, cell: Cell) -> bool:
        """Return whether a cell contains such images only."""
        pairs = ((self.line, cell.line), (self.station, cell.station), (self.model, cell.model))
        return all(wanted is None or wanted == found for wanted, found in pairs)


EVERYTHING = Wanted()
_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Statistics:
    """Reads the counters.

    Attributes:
        client: Of DynamoDB.
        table_name: The statistics table.
    """

    client: DynamoDBClient
    table_name: str

    def counts(self, span: Span, wanted: Wanted = EVERYTHING) -> list[tuple[Cell, Counts]]:
        """Return the counters of each cell in a span, oldest first.

        A day of a station with one model is one item, so that 30 days of ten stations are one query.

        Args:
            span: The time. By the day, the hour of a cell is only its date.
            wanted: Of which images.
        """
        ranges = list(_ranges(span))
        if len(ranges) == 1:
            parts: Iterable[list[Any]] = [self._query(*ranges[0])]
        else:
            with ThreadPoolExecutor(_CONNECTIONS) as pool:
                parts = list(pool.map(lambda part: self._query(*part), ranges))
        found = [(cell_at(item["pk"]["S"], item["sk"]["S"]), item) for part in parts for item in part]
        return [(cell, counts_in(item)) for cell, item in found if wanted.accepts(cell)]

    def _query(self, partition: str, first: str, last: str) -> list[Any]:
        """Return the items of a partition between two sort keys."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table_name,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": {"S": partition},
                ":first": {"S": first},
                ":last": {"S": last},
            },
        )
        return [item for page in pages for item in page["Items"]]


def counts_in(item: Any) -> Counts:
    """Return the counters of an item."""
    return Counts(
        {name: int(value["N"]) for name, value in item.items() if "N" in value and name != "expires_at"}
    )


def _ranges(span: Span) -> Iterator[tuple[str, str, str]]:
    """Yield the partitions that hold a span, with the first and last sort key in each."""
    partition_of, length = (hours_partition, 10) if span.by is By.HOUR else (days_partition, 7)
    starts = span.starts()
    for name in dict.fromkeys(start[:length] for start in starts):
        parts = [start[length + 1 :] for start in starts if start.startswith(name)]
        # A sort key goes on with "#" and names, and "~" sorts behind all that quoted names may contain.
        yield partition_of(name), f"{parts[0]}#", f"{parts[-1]}#~"

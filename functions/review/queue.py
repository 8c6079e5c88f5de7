"""The review queue: what waits for people, and who works on what.

A person claims an image before deciding about it. A claim ends with the decision, when it is released, or after
`CLAIM_TIME`. All writes are conditional, so no image is ever claimed by two people at the same time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contract.inspections import timestamp
from inspection.records import Record
from review.errors import AlreadyClaimedError, NotQueuedError, QueueEmptyError
from review.items import from_item, to_item
from review.priority import Priority, due, priority
from review.sampling import Selection
from review.usual import UsualStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]

CLAIM_TIME = timedelta(minutes=5)
OPEN, DECIDED = "open", "decided"
BY_QUEUE, BY_DECIDED = "by_queue", "by_decided"
DISAGREEMENT = "disagreement"  # the queue of the images about which people disagree
MOST_COUNTED = 2000  # of open items: a longer queue needs no exact number
_LINES = "lines"  # the id of the item that names the lines with a queue
_PAGE = 25
_MONTHS = 15  # of decided items; after about a year the records are deleted, and their reviews with them
_INTERNAL = ("queue", "rank", "decided_month", "expires_at")


def open_queue(line: str) -> str:
    """Return the queue of a line's open items."""
    return f"open#{line}"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ReviewQueue:
    """The queue in the reviews table.

    Attributes:
        client: The DynamoDB client.
        table_name: The reviews table.
        clock: Returns the time.
    """

    client: DynamoDBClient
    table_name: str
    clock: Callable[[], datetime] = _now
    _known_lines: set[str] = field(default_factory=set, repr=False, compare=False)

    def enqueue(self, record: Record, selection: Selection) -> bool:
        """Put an inspection into the queue.

        Args:
            record: The inspection record.
            selection: Why it enters the queue.

        Returns:
            Whether it was put: False if it is in the queue already, or was decided.
        """
        store, line = UsualStore(self.client, self.table_name), record["line"]
        self._remember(line)
        usual = store.read(line)
        if not self._put(_entry(record, selection, priority(record, selection, usual))):
            return False
        store.write(line, usual.after(record))
        return True

    def get(self, inspection_id: str) -> Item:
        """Return an item, by a consistent read.

        Raises:
            NotQueuedError: There is none.
        """
        reply = self.client.get_item(
            TableName=self.table_name, Key=to_item({"id": inspection_id}), ConsistentRead=True
        )
        if "image" not in reply.get("Item", {}):
            raise NotQueuedError("This image is not in the review queue.")
        return from_item(reply["Item"])

    def find(self, inspection_id: str) -> Item | None:
        """Return an item, or None if there is none."""
        try:
            return self.get(inspection_id)
        except NotQueuedError:
            return None

    def claim(self, inspection_id: str, by: str) -> Item:
        """Claim an item, or renew one's own claim.

        Returns:
            The item.

        Raises:
            NotQueuedError: There is no such item.
            AlreadyClaimedError: Another person has claimed it.
        """
        now = self.clock()
        claim = {"by": by, "until": timestamp(now + CLAIM_TIME)}
        try:
            reply = self.client.update_item(
                TableName=self.table_name,
                Key=to_item({"id": inspection_id}),
                UpdateExpression="SET #claim = :claim",
                ConditionExpression="attribute_exists(image) AND "
                "(attribute_not_exists(#claim) OR #claim.#by = :by OR #claim.#until <= :now)",
                ExpressionAttributeNames={"#claim": "claim", "#by": "by", "#until": "until"},
                ExpressionAttributeValues=to_item({":claim": claim, ":by": by, ":now": timestamp(now)}),
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            holder = self.get(inspection_id).get("claim") or {"by": "Somebody", "until": timestamp(now)}
            raise AlreadyClaimedError(holder["by"], holder["until"]) from error
        return from_item(reply["Attributes"])

    def release(self, inspection_id: str, by: str) -> None:
        """Give up one's claim. Nothing happens if there is none, or if it is another person's.

        Raises:
            NotQueuedError: There is no such item.
        """
        try:
            self.client.update_item(
                TableName=self.table_name,
                Key=to_item({"id": inspection_id}),
                UpdateExpression="REMOVE #claim",
                ConditionExpression="#claim.#by = :by",
                ExpressionAttributeNames={"#claim": "claim", "#by": "by"},
                ExpressionAttributeValues=to_item({":by": by}),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            self.get(inspection_id)

    def next(self, by: str, line: str | None = None, skip: Collection[str] = ()) -> Item:
        """Claim the open item that most deserves it, of those that nobody else has claimed.

        Args:
            by: Who claims it.
            line: Only of this line.
            skip: Ids that the person does not want now.

        Raises:
            QueueEmptyError: There is none.
        """
        for item in self.open_items(line):
            if item["id"] in skip or not is_claimable(item, by, self.clock()):
                continue
            try:
                claimed = self.claim(item["id"], by)
            except (AlreadyClaimedError, NotQueuedError):
                # Somebody was faster.
                continue
            # The index may lag behind a decision.
            if claimed["state"] == OPEN:
                return claimed
            self.release(item["id"], by)
        raise QueueEmptyError("Nothing waits for a review now.")

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
        reply = self.client.get_item(TableName=self.table_name, Key=to_item({"id": _LINES}))
        return sorted(reply.get("Item", {}).get("names", {}).get("SS", []))

    def _remember(self, line: str) -> None:
        if line in self._known_lines:
            return
        self.client.update_item(
            TableName=self.table_name,
            Key=to_item({"id": _LINES}),
            UpdateExpression="ADD #names :line",
            ExpressionAttributeNames={"#names": "names"},
            ExpressionAttributeValues={":line": {"SS": [line]}},
        )
        self._known_lines.add(line)

    def _put(self, item: Item) -> bool:
        # Without versions in the bucket, a later image replaces the record, and what was waiting or decided about it.
        try:
            self.client.put_item(
                TableName=self.table_name,
                Item=to_item(item),
                ConditionExpression="attribute_not_exists(id) OR received_at < :received_at",
                ExpressionAttributeValues=to_item({":received_at": item["received_at"]}),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True

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


def _entry(record: Record, selection: Selection, wanted: Priority) -> Item:
    names = ("id", "image", "version_id", "line", "station", "serial", "verdict", "received_at", "expires_at")
    return {
        **{name: record[name] for name in names},
        "cause": selection.cause.value,
        "share": selection.share,
        "priority": wanted.value,
        "why": list(wanted.reasons),
        "state": OPEN,
        "version": 1,
        "decisions": [],
        "disagreement": False,
        "queue": open_queue(record["line"]),
        "rank": f"{due(record['received_at'], wanted.value)}#{record['id']}",
    }


def live_claim(item: Item, now: datetime) -> dict[str, str] | None:
    """Return the claim of an item, or None if there is none or it has expired."""
    claim: dict[str, str] | None = item.get("claim")
    return claim if claim and claim["until"] > timestamp(now) else None


def is_claimable(item: Item, by: str, now: datetime) -> bool:
    """Return whether a person may claim an item, or holds its claim."""
    claim = live_claim(item, now)
    return claim is None or claim["by"] == by


def shown(item: Item, by: str, now: datetime) -> Item:
    """Return an item as people see it: without the keys of its indexes and without an expired claim.

    Args:
        item: The item.
        by: Who looks at it.
        now: The time.
    """
    fields = {name: value for name, value in item.items() if name not in (*_INTERNAL, "claim")}
    return {**fields, "claim": live_claim(item, now), "claimable": is_claimable(item, by, now)}


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

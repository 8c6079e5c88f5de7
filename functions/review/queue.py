"""The review queue: what waits for people, and who works on what.

A person claims an image before deciding about it. A claim ends with the decision, when it is released, or after
`CLAIM_TIME`. All writes are conditional, so no image is ever claimed by two people at the same time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contract.inspections import timestamp
from inspection.records import Record
from review.errors import AlreadyClaimedError, NotQueuedError, QueueEmptyError
from review.items import from_item, to_item
from review.lists import LINES, Item, ReviewLists, open_queue
from review.priority import Priority, due, priority
from review.sampling import Selection
from review.usual import UsualStore
from tracking.transactions import ATTEMPTS, Result, Transactions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import PutTypeDef

CLAIM_TIME = timedelta(minutes=5)
OPEN, DECIDED = "open", "decided"
_INTERNAL = ("queue", "rank", "decided_month", "expires_at")


@dataclass(frozen=True)
class ReviewQueue(ReviewLists):
    """The queue in the reviews table: what is put into it, and who works on what."""

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
        transactions = Transactions(self.client, self.table_name)
        for attempt in range(ATTEMPTS):
            usual = store.read(line)
            item = entry_of(record, selection, priority(record, selection, usual))
            # Together, so that a record that is delivered again after a crash is neither left out nor counted twice.
            actions = [{"Put": self._putting(item)}, {"Put": store.putting(line, usual, usual.after(record))}]
            outcome = transactions.write(actions)
            if outcome.result is Result.WRITTEN:
                return True
            if 0 in outcome.failed:
                return False
            if outcome.result is Result.REFUSED:
                break
            transactions.pause(attempt)
        # What is usual only orders the queue, so nothing waits for it for long.
        return self._put(item)

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

    def _remember(self, line: str) -> None:
        if line in self._known_lines:
            return
        self.client.put_item(
            TableName=self.table_name, Item=to_item({"id": f"line#{line}", "queue": LINES, "rank": line})
        )
        self._known_lines.add(line)

    def _putting(self, item: Item) -> PutTypeDef:
        # Without versions in the bucket, a later image replaces the record, and what was waiting or decided about it.
        return {
            "TableName": self.table_name,
            "Item": to_item(item),
            "ConditionExpression": "attribute_not_exists(id) OR received_at < :received_at",
            "ExpressionAttributeValues": to_item({":received_at": item["received_at"]}),
        }

    def _put(self, item: Item) -> bool:
        try:
            self.client.put_item(**self._putting(item))
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True


def entry_of(record: Record, selection: Selection, wanted: Priority) -> Item:
    """Return what the queue has of an inspection that enters it. Args: as `enqueue`, and how much it deserves it."""
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

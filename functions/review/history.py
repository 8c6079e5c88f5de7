"""Who did what, and when. Entries are only appended."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from contract.inspections import timestamp
from review.items import from_item, stored, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PutTypeDef, QueryInputTypeDef

Entry = dict[str, Any]

RULES, MODEL = "rules", "model"
_RANDOM_BYTES = 6  # two entries of the same millisecond differ


def inspection_subject(inspection_id: str) -> str:
    """Return the subject under which the history of an inspection is kept."""
    return f"inspection#{inspection_id}"


def run_subject(name: str) -> str:
    """Return the subject under which the history of a retraining run is kept."""
    return f"run#{name}"


def user_subject(name: str) -> str:
    """Return the subject under which the history of a user is kept."""
    return f"user#{name}"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class History:
    """The history table.

    Attributes:
        client: The DynamoDB client.
        table_name: The table.
        clock: Returns the time.
    """

    client: DynamoDBClient
    table_name: str
    clock: Callable[[], datetime] = _now

    def append(
        self, subject: str, by: str, action: str, old: Any = None, new: Any = None, comment: str | None = None
    ) -> Entry:
        """Add an entry.

        Args:
            subject: What it is about, such as `rules`, or what `inspection_subject` returns.
            by: Who did it.
            action: What was done, stable for programs, such as `acknowledged`.
            old: What was before; None if there was nothing.
            new: What is now; None if there is nothing.
            comment: What the person says about it.

        Returns:
            The entry, as `read` returns it.
        """
        entry = self._entry(by, action, old, new, comment)
        self.client.put_item(**self._put(subject, entry))
        return entry

    def put(
        self, subject: str, by: str, action: str, old: Any = None, new: Any = None, comment: str | None = None
    ) -> PutTypeDef:
        """Return the entry for a transaction, so that it is written if and only if its change is. Args: as `append`."""
        return self._put(subject, self._entry(by, action, old, new, comment))

    def read(self, subject: str, limit: int = 50, before: str | None = None) -> list[Entry]:
        """Return the entries about a subject, newest first.

        Args:
            subject: What they are about.
            limit: How many entries at most.
            before: The `id` of an entry: only those older than this one.

        Returns:
            Entries `{"id", "at", "by", "action", "old"?, "new"?, "comment"?}`.
        """
        request: QueryInputTypeDef = {
            "TableName": self.table_name,
            "KeyConditionExpression": "subject = :subject",
            "ExpressionAttributeValues": {":subject": {"S": subject}},
            "ScanIndexForward": False,
            "ConsistentRead": True,
            "Limit": limit,
        }
        if before is not None:
            request["KeyConditionExpression"] = "subject = :subject AND at_id < :before"
            request["ExpressionAttributeValues"] = {":subject": {"S": subject}, ":before": {"S": before}}
        return [_shown(from_item(item)) for item in self.client.query(**request)["Items"]]

    def _entry(self, by: str, action: str, old: Any, new: Any, comment: str | None) -> Entry:
        at = timestamp(self.clock())
        fields = {"by": by, "action": action, "old": old, "new": new, "comment": comment}
        return {
            "id": f"{at}#{secrets.token_hex(_RANDOM_BYTES)}",
            "at": at,
            **{name: value for name, value in fields.items() if value is not None},
        }

    def _put(self, subject: str, entry: Entry) -> PutTypeDef:
        fields = {name: value for name, value in entry.items() if name not in ("id", "at")}
        return {
            "TableName": self.table_name,
            "Item": {"subject": stored(subject), "at_id": stored(entry["id"]), **to_item(fields)},
            "ConditionExpression": "attribute_not_exists(subject)",
        }


def _shown(item: dict[str, Any]) -> Entry:
    item.pop("subject")
    at_id = item.pop("at_id")
    return {"id": at_id, "at": at_id.split("#", 1)[0], **item}

"""The inspections table."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from contract.s3 import UNVERSIONED
from inspection import heat_maps
from inspection.events import normalise_sequencer
from inspection.records import Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_BATCH_GET_LIMIT, _BATCH_GET_ATTEMPTS, _BATCH_GET_PAUSE = 100, 8, 0.05

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize
# A version of an object never changes, so a second event about it is a duplicate, whatever it says. Without versions,
# the later event wins: by its sequencer, or by its time if it came without a sequencer.
_IS_NEWS = (
    "attribute_not_exists(image) OR (version_id = :unversioned AND (sequencer < :sequencer OR "
    "(sequencer = :sequencer AND sequencer = :missing AND received_at < :received_at)))"
)


class UnreadError(Exception):
    """DynamoDB did not read all the records that it was asked for."""


class Inspections:
    """Reads and writes records. The writes are conditional, so a repeated or late delivery changes nothing.

    The table is not read before the endpoint is called: duplicates are rare, and one wasted call costs less than
    a read for every image.
    """

    def __init__(self, client: DynamoDBClient, table_name: str) -> None:
        self._client = client
        self._table_name = table_name

    def put(self, record: Record) -> bool:
        """Write a record, unless the image version has one; without versions, one from the same or a later event.

        Returns:
            Whether it was written: False for a duplicate or an older event.
        """
        return self._write_if(
            self._client.put_item,
            Item=_item(record),
            ConditionExpression=_IS_NEWS,
            ExpressionAttributeValues={
                ":unversioned": {"S": UNVERSIONED},
                ":sequencer": {"S": record["sequencer"]},
                ":missing": {"S": normalise_sequencer("")},
                ":received_at": {"S": record["received_at"]},
            },
        )

    def keep_heat_map(self, record: Record, heat_map: bytes) -> None:
        """Write the heat map of a record that is not written yet. Repeating it changes nothing."""
        key = heat_maps.key_of(record, heat_maps.digest(heat_map))
        item = {**key, "heat_map": heat_map, "expires_at": record["expires_at"]}
        self._client.put_item(TableName=self._table_name, Item=_item(item))

    def heat_map(self, record: Record) -> bytes | None:
        """Return the heat map of a record; None if it has none."""
        name = heat_maps.name_in(record)
        if name is None:
            return None
        reply = self._client.get_item(TableName=self._table_name, Key=_item(heat_maps.key_of(record, name)))
        return bytes(reply["Item"]["heat_map"]["B"]) if "Item" in reply else None

    def get(self, image: str, version_id: str) -> Record | None:
        """Return the record of an image version, by a consistent read."""
        reply = self._client.get_item(
            TableName=self._table_name, Key=_key(image, version_id), ConsistentRead=True
        )
        item = reply.get("Item")
        return {name: _deserialize(value) for name, value in item.items()} if item else None

    def recorded(self, identities: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return which image versions have a record. DynamoDB answers for a hundred at a time.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html

        Raises:
            UnreadError: It did not answer for all of them, however often it was asked.
        """
        found: set[tuple[str, str]] = set()
        for start in range(0, len(identities), _BATCH_GET_LIMIT):
            wanted: Any = {
                "Keys": [_key(*identity) for identity in identities[start : start + _BATCH_GET_LIMIT]],
                "ProjectionExpression": "image, version_id",
            }
            for attempt in range(_BATCH_GET_ATTEMPTS):
                reply = self._client.batch_get_item(RequestItems={self._table_name: wanted})
                found |= {
                    (item["image"]["S"], item["version_id"]["S"])
                    for item in reply["Responses"].get(self._table_name, [])
                }
                wanted = reply.get("UnprocessedKeys", {}).get(self._table_name)
                if not wanted:
                    break
                time.sleep(random.uniform(0, _BATCH_GET_PAUSE * 2**attempt))  # noqa: S311 - jitter, no secret
            else:
                raise UnreadError(f"DynamoDB did not read {len(wanted['Keys'])} records")
        return found

    def mark_alerted(
        self, record: Record, alert: dict[str, str], picture: str | None, thumbnail: str | None
    ) -> bool:
        """Mark the alert of a record as sent.

        Args:
            record: The record, as it was read.
            alert: What the record stores about its alert.
            picture: The key of its picture, if it has one.
            thumbnail: The key of its thumbnail; empty if it can have none; None if that is not known.

        Returns:
            Whether it was marked: False if it already was, or if a later event has replaced the record.
        """
        return self._mark(record, {"alert": alert, "picture": picture or None, "thumbnail": thumbnail})

    def mark_pictured(self, record: Record, picture: str, thumbnail: str | None) -> bool:
        """Add the keys of its picture and thumbnail to a record. Args: as `mark_alerted`.

        Returns:
            Whether they were added: False if there already was a picture, or if a later event has replaced the record.
        """
        return self._mark(record, {"picture": picture, "thumbnail": thumbnail})

    def mark_thumbnail(self, record: Record, thumbnail: str) -> bool:
        """Add the key of its thumbnail to a record; an empty one if its image can have none.

        Returns:
            Whether it was added: False if there already was one, or if a later event has replaced the record.
        """
        return self._mark(record, {"thumbnail": thumbnail})

    def mark_view(self, record: Record, view: str) -> bool:
        """Add the key of its view to a record; an empty one if its image needs none, or can have none.

        Returns:
            As `mark_thumbnail`.
        """
        return self._mark(record, {"view_key": view})

    def _mark(self, record: Record, marks: Record) -> bool:
        """Add fields to a record, unless it has the first of them. What is None is left out."""
        fields = {name: value for name, value in marks.items() if value is not None}
        return self._write_if(
            self._client.update_item,
            Key=_key(record["image"], record["version_id"]),
            UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in fields),
            # Not to a judgement that has replaced this one: what is added was made for this one.
            ConditionExpression="sequencer = :sequencer AND inspected_at = :inspected_at "
            f"AND attribute_not_exists({next(iter(fields))})",
            ExpressionAttributeValues={
                ":sequencer": {"S": record["sequencer"]},
                ":inspected_at": {"S": record["inspected_at"]},
                **{f":{name}": _serialize(value) for name, value in fields.items()},
            },
        )

    def _write_if(self, write: Any, **arguments: Any) -> bool:
        """Run a conditional write. Return whether its condition held."""
        try:
            write(TableName=self._table_name, **arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True


def _item(record: Record) -> Any:
    return {name: _serialize(value) for name, value in record.items()}


def _key(image: str, version_id: str) -> Any:
    return {"image": {"S": image}, "version_id": {"S": version_id}}

"""The inspections table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from inspection.records import Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class Inspections:
    """Conditional writes, so that what is delivered twice or out of order has one effect.

    There is no look-up before the endpoint is called: duplicates are rare, and one wasted call costs less than
    a read for every image.
    """

    def __init__(self, client: DynamoDBClient, table_name: str) -> None:
        self._client = client
        self._table_name = table_name

    def put(self, record: Record) -> bool:
        """Write a record unless this image version has one from this event or a later one of its key.

        Returns:
            False for a duplicate or an older event.
        """
        return self._conditionally(
            self._client.put_item,
            Item=_item(record),
            ConditionExpression="attribute_not_exists(image) OR sequencer < :sequencer",
            ExpressionAttributeValues={":sequencer": {"S": record["sequencer"]}},
        )

    def get(self, image: str, version_id: str) -> Record | None:
        """The record of an image version, consistently read."""
        reply = self._client.get_item(
            TableName=self._table_name, Key=_key(image, version_id), ConsistentRead=True
        )
        item = reply.get("Item")
        return {name: _deserialize(value) for name, value in item.items()} if item else None

    def mark_alerted(self, record: Record, alert: dict[str, str]) -> bool:
        """Note that the alert for a record is out.

        Returns:
            False if that was noted before, or the record has given way to one of a later event.
        """
        return self._conditionally(
            self._client.update_item,
            Key=_key(record["image"], record["version_id"]),
            UpdateExpression="SET alert = :alert",
            ConditionExpression="sequencer = :sequencer AND attribute_not_exists(alert)",
            ExpressionAttributeValues={
                ":alert": _serialize(alert),
                ":sequencer": {"S": record["sequencer"]},
            },
        )

    def _conditionally(self, write: Any, **arguments: Any) -> bool:
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

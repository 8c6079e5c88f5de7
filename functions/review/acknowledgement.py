"""Who has seen a defect: the first one, once and for all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contract.inspections import timestamp
from review.history import History, inspection_subject
from review.items import stored

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ACKNOWLEDGED = "acknowledged"


def acknowledge(
    client: DynamoDBClient, table_name: str, history: History, record: Mapping[str, Any], by: str
) -> bool:
    """Note in a record, and in its history, who has seen it first.

    Args:
        client: The DynamoDB client.
        table_name: The inspections table.
        history: The history.
        record: The inspection record.
        by: Who has seen it.

    Returns:
        Whether it was noted now: False if somebody was faster, or if the record is gone.
    """
    update: Any = {
        "TableName": table_name,
        "Key": {"image": stored(record["image"]), "version_id": stored(record["version_id"])},
        "UpdateExpression": "SET acknowledged = :acknowledged",
        "ConditionExpression": "id = :id AND attribute_not_exists(acknowledged)",
        "ExpressionAttributeValues": {
            ":acknowledged": stored({"by": by, "at": timestamp(datetime.now(UTC))}),
            ":id": stored(record["id"]),
        },
    }
    entry = history.put(inspection_subject(record["id"]), by, ACKNOWLEDGED)
    try:
        client.transact_write_items(TransactItems=[{"Update": update}, {"Put": entry}])
    except ClientError as error:
        if error.response["Error"]["Code"] != "TransactionCanceledException":
            raise
        reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
        if reasons[:1] != ["ConditionalCheckFailed"]:
            raise
        return False
    return True

"""Since when records are counted. A stack that is older than its counters has records that they do not contain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from contract.inspections import timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEY = {"pk": {"S": "counting"}, "sk": {"S": "began_at"}}


@dataclass(frozen=True, slots=True)
class Beginning:
    """Keeps the time of the first count.

    Attributes:
        client: Of DynamoDB.
        table_name: The statistics table.
    """

    client: DynamoDBClient
    table_name: str

    def remember(self, at: datetime) -> None:
        """Remember that records are counted from now on, unless that is known already."""
        self.client.update_item(
            TableName=self.table_name,
            Key=_KEY,
            UpdateExpression="SET began_at = if_not_exists(began_at, :at)",
            ExpressionAttributeValues={":at": {"S": timestamp(at)}},
        )

    def read(self) -> str | None:
        """Return since when records are counted, as a timestamp; None if none was counted yet."""
        item = self.client.get_item(TableName=self.table_name, Key=_KEY).get("Item")
        return item["began_at"]["S"] if item else None

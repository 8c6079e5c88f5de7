"""The lines and stations that have inspected images, and their models."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from inspection.records import Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PARTITION = "places"
# `last_seen` is so exact. Otherwise each image would cost a write into this one partition.
_EXACT_TO = timedelta(minutes=1)

_Seen = tuple[str, str, str]  # line, station, version of the model


@dataclass(slots=True)
class Places:
    """Keeps an item for each station.

    Attributes:
        client: Of DynamoDB.
        table_name: The statistics table.
    """

    client: DynamoDBClient
    table_name: str
    _written: dict[_Seen, datetime] = field(default_factory=dict)  # by this process

    def see(self, records: list[Record]) -> None:
        """Remember the stations and models of some records. Repeating it changes nothing."""
        by_place: dict[_Seen, list[Record]] = {}
        for record in sorted(records, key=lambda record: str(record["inspected_at"])):
            seen = (record["line"], record["station"], (record.get("model") or {}).get("version", ""))
            by_place.setdefault(seen, []).append(record)
        for seen, found in by_place.items():
            last = found[-1]
            at = datetime.fromisoformat(last["inspected_at"])
            if seen not in self._written or at - self._written[seen] >= _EXACT_TO:
                self._write(seen, found[0]["inspected_at"], last)
                self._written[seen] = at

    def read(self) -> list[dict[str, Any]]:
        """Return the stations with the versions of their models, sorted by line and station."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table_name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": PARTITION}},
        )
        return sorted(
            (_place(item) for page in pages for item in page["Items"]),
            key=lambda place: (place["line"], place["station"]),
        )

    def lines(self) -> list[str]:
        """Return the lines."""
        return sorted({place["line"] for place in self.read()})

    def _write(self, seen: _Seen, first: str, record: Record) -> None:
        line, station, model = seen
        key = {"pk": {"S": PARTITION}, "sk": {"S": f"{quote(line, safe='')}#{quote(station, safe='')}"}}
        values: dict[str, Any] = {
            ":at": {"S": record["inspected_at"]},
            ":first": {"S": first},
            ":expires_at": {"N": str(int(record["expires_at"]))},
        }
        adds_model, models = (" ADD models :models", {":models": {"SS": [model]}}) if model else ("", {})
        try:
            self.client.update_item(
                TableName=self.table_name,
                Key=key,
                UpdateExpression="SET first_seen = if_not_exists(first_seen, :first), last_seen = :at, "
                "expires_at = :expires_at" + adds_model,
                ConditionExpression="attribute_not_exists(pk) OR last_seen < :at",
                ExpressionAttributeValues=values | models,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            # Something newer of the station is known already, but perhaps not of this model.
            if model:
                self.client.update_item(
                    TableName=self.table_name,
                    Key=key,
                    UpdateExpression=adds_model.strip(),
                    ExpressionAttributeValues=models,
                )


def _place(item: Any) -> dict[str, Any]:
    line, station = map(unquote, item["sk"]["S"].split("#"))
    return {
        "line": line,
        "station": station,
        "first_seen": item["first_seen"]["S"],
        "last_seen": item["last_seen"]["S"],
        "models": sorted(item.get("models", {}).get("SS", [])),
    }

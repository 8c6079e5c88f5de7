"""The last decisions about many inspections at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from review.items import from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_BATCH = 100  # keys that one call takes


def latest_decisions(
    client: DynamoDBClient, table_name: str, inspection_ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the last decision about each inspection, by its id. Those that nobody has decided about are left out.

    Args:
        client: Of DynamoDB.
        table_name: The reviews table.
        inspection_ids: The inspections, each once.
    """
    found: dict[str, dict[str, Any]] = {}
    waiting: list[Any] = [to_item({"id": identity}) for identity in inspection_ids]
    while waiting:
        batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
        reply = client.batch_get_item(
            RequestItems={table_name: {"Keys": batch, "ProjectionExpression": "id, decisions"}}
        )
        for item in map(from_item, reply["Responses"].get(table_name, [])):
            if item.get("decisions"):
                found[item["id"]] = item["decisions"][-1]
        if left := reply.get("UnprocessedKeys", {}).get(table_name):
            waiting += left["Keys"]
    return found

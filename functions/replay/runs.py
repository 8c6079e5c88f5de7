"""Replays: which images one is about, how far it is, and what has come of it.

A replay is an item of the statistics table. What becomes of an image is counted in the transaction that writes its new
judgement, so the numbers are exact however often a message comes.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from contract.inspections import Verdict, timestamp
from inspection.index_reading import Wanted

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEPT = timedelta(days=90)
_COUNTED = "n:"
DONE = "done"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which images are judged again. What is None does not matter.

    Attributes:
        since: Those that were received at or after this time.
        until: And before this one.
        line: Of this production line.
        station: Of this station.
        verdict: With this verdict.
    """

    since: datetime
    until: datetime
    line: str | None = None
    station: str | None = None
    verdict: Verdict | None = None

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Return the selection in a JSON document."""
        verdict = document.get("verdict")
        return cls(
            datetime.fromisoformat(document["since"]),
            datetime.fromisoformat(document["until"]),
            document.get("line"),
            document.get("station"),
            Verdict(verdict) if verdict else None,
        )

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return asdict(self) | {"since": timestamp(self.since), "until": timestamp(self.until)}

    def wanted(self) -> Wanted:
        """Return what to search for."""
        return Wanted(self.since, self.until, line=self.line, station=self.station, verdict=self.verdict)


@dataclass(frozen=True, slots=True)
class Run:
    """A replay.

    Attributes:
        id: Its name.
        selection: Which images.
        alert: Whether an image that fails now, and did not before, raises an alert.
        by: Who has asked for it.
        position: How far the images are announced, as `Search.page` says it; None before the first page.
        announced: How many are.
        complete: Whether all are.
        counts: What has become of them: `done`, and so on (`replay/writing.py`).
    """

    id: str
    selection: Selection
    alert: bool
    by: str
    position: str | None = None
    announced: int = 0
    complete: bool = False
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Runs:
    """Keeps the replays.

    Attributes:
        client: Of DynamoDB.
        table_name: The statistics table.
    """

    client: DynamoDBClient
    table_name: str

    def start(self, selection: Selection, alert: bool, by: str, now: datetime) -> Run:
        """Remember a new replay, and return it."""
        run = Run(secrets.token_hex(4), selection, alert, by)
        item: Any = {
            **_key(run.id),
            "selection": {"S": json.dumps(selection.document(), ensure_ascii=False)},
            "alert": {"BOOL": alert},
            "by": {"S": by},
            "started_at": {"S": timestamp(now)},
            "announced": {"N": "0"},
            "complete": {"BOOL": False},
            "expires_at": {"N": str(int((now + _KEPT).timestamp()))},
        }
        self.client.put_item(TableName=self.table_name, Item=item)
        return run

    def read(self, identity: str) -> Run | None:
        """Return a replay; None if there is none of that name."""
        item: Any = self.client.get_item(
            TableName=self.table_name, Key=_key(identity), ConsistentRead=True
        ).get("Item")
        if item is None:
            return None
        return Run(
            identity,
            Selection.of(json.loads(item["selection"]["S"])),
            item["alert"]["BOOL"],
            item["by"]["S"],
            item["position"]["S"] if "position" in item else None,
            int(item["announced"]["N"]),
            item["complete"]["BOOL"],
            {
                name.removeprefix(_COUNTED): int(value["N"])
                for name, value in item.items()
                if name.startswith(_COUNTED)
            },
        )

    def advance(self, run: Run, position: str | None, announced: int) -> Run:
        """Remember that another page is announced, and return the replay as it is then.

        Args:
            run: The replay.
            position: Where the next page begins; None if this was the last one.
            announced: How many images this one had.
        """
        values: dict[str, Any] = {
            ":announced": {"N": str(announced)},
            ":complete": {"BOOL": position is None},
        }
        update, condition = "SET complete = :complete ADD announced :announced", "attribute_exists(pk)"
        if position is not None:
            update = "SET complete = :complete, #position = :position ADD announced :announced"
            values[":position"] = {"S": position}
        if run.position is None:
            condition += " AND attribute_not_exists(#position) AND complete = :false"
            values[":false"] = {"BOOL": False}
        else:
            condition += " AND #position = :before"
            values[":before"] = {"S": run.position}
        try:
            self.client.update_item(
                TableName=self.table_name,
                Key=_key(run.id),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames={"#position": "position"},
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            # Somebody else goes on with the same replay.
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return self.read(run.id) or run
        return replace(run, position=position, announced=run.announced + announced, complete=position is None)

    def added(self, identity: str, names: Iterable[str]) -> Any:
        """Return the action that counts one image under these names, for a transaction."""
        counted = sorted({DONE, *names})
        return {
            "TableName": self.table_name,
            "Key": _key(identity),
            "UpdateExpression": "ADD " + ", ".join(f"#n{index} :one" for index in range(len(counted))),
            "ExpressionAttributeNames": {
                f"#n{index}": f"{_COUNTED}{name}" for index, name in enumerate(counted)
            },
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }

    def count(self, identity: str, *names: str) -> None:
        """Count an image that has no record in which its replay could be noted."""
        self.client.update_item(**self.added(identity, names))


def _key(identity: str) -> dict[str, Any]:
    return {"pk": {"S": f"replay#{identity}"}, "sk": {"S": "-"}}

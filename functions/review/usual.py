"""What is usual on a line: its pictures, and how many images of each class people have labelled there.

Both are kept beside the queue, as one item of each kind for a line. A picture has its share in the mean from the moment
it is in the queue.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from review.items import from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PutTypeDef, TransactWriteItemTypeDef

_PICTURES, _LABELLED, _CLASS = "pictures#", "labelled#", "class:"
_MEASURES = ("exposure", "sharpness")
_FEWEST_PICTURES = 20  # before that, nothing is usual yet
_MEMORY = 200  # pictures over which the mean runs
_LEAST_DEVIATION = 0.02  # of a logarithm; the pictures of a very steady line differ by nothing


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual on a line.

    Attributes:
        pictures: How many pictures it is taken from.
        means: By measure, of its logarithm.
        variances: By measure, of its logarithm.
        labelled: By class, how many images of the line people have labelled with it.
    """

    pictures: int = 0
    means: Mapping[str, float] = field(default_factory=dict)
    variances: Mapping[str, float] = field(default_factory=dict)
    labelled: Mapping[str, int] = field(default_factory=dict)

    def after(self, record: Mapping[str, Any]) -> Usual:
        """Return what is usual after another picture. Mean and variance forget old pictures slowly.

        T. Finch, Incremental calculation of weighted mean and variance (2009), section 9.
        """
        means, variances = dict(self.means), dict(self.variances)
        weight = 1 / min(self.pictures + 1, _MEMORY)
        for name, value in measured(record).items():
            difference = value - means.get(name, value)
            means[name] = means.get(name, value) + weight * difference
            variances[name] = (1 - weight) * (variances.get(name, 0.0) + weight * difference**2)
        return replace(self, pictures=self.pictures + 1, means=means, variances=variances)

    def distance(self, name: str, value: float) -> float:
        """Return by how many standard deviations a measure differs from the mean."""
        if self.pictures < _FEWEST_PICTURES or name not in self.means:
            return 0.0
        deviation = max(math.sqrt(self.variances[name]), _LEAST_DEVIATION)
        return abs(value - self.means[name]) / deviation


def measured(record: Mapping[str, Any]) -> dict[str, float]:
    """Return the logarithms of a picture's measures, because light and contrast change by factors."""
    quality = record.get("quality") or {}
    return {name: math.log(max(float(quality[name]), 1e-6)) for name in _MEASURES if name in quality}


@dataclass(frozen=True)
class UsualStore:
    """Keeps in the reviews table what is usual.

    Attributes:
        client: The DynamoDB client.
        table_name: The reviews table.
    """

    client: DynamoDBClient
    table_name: str

    def read(self, line: str) -> Usual:
        """Return what is usual on a line."""
        pictures = self._get(_PICTURES + line)
        return Usual(
            pictures=pictures.get("pictures", 0),
            means=pictures.get("means", {}),
            variances=pictures.get("variances", {}),
            labelled=self.labelled(line),
        )

    def labelled(self, line: str) -> dict[str, int]:
        """Return by class how many images of a line people have labelled with it."""
        counts = self._get(_LABELLED + line)
        return {name.removeprefix(_CLASS): count for name, count in counts.items() if name.startswith(_CLASS)}

    def putting(self, line: str, before: Usual, after: Usual) -> PutTypeDef:
        """Return the action that stores what is usual about the pictures of a line, for a transaction.

        Args:
            line: The line.
            before: What is stored. If it is not, because somebody was faster, the transaction is cancelled.
            after: What is stored instead.
        """
        fields = {"pictures": after.pictures, "means": after.means, "variances": after.variances}
        put: PutTypeDef = {
            "TableName": self.table_name,
            "Item": to_item({"id": _PICTURES + line, **fields}),
            "ConditionExpression": "attribute_not_exists(id)",
        }
        if before.pictures:
            put["ConditionExpression"] = "pictures = :pictures"
            put["ExpressionAttributeValues"] = to_item({":pictures": before.pictures})
        return put

    def count_labelled(self, line: str, before: set[str], after: set[str]) -> list[TransactWriteItemTypeDef]:
        """Return the actions that count the classes of an image, for the transaction of the decision about it.

        Args:
            line: The line.
            before: The classes that the image was labelled with until now.
            after: Those that it is labelled with now.
        """
        changes = {**dict.fromkeys(before - after, -1), **dict.fromkeys(after - before, 1)}
        if not changes:
            return []
        names = {f"#n{index}": _CLASS + label for index, label in enumerate(sorted(changes))}
        values = {f":n{index}": changes[label] for index, label in enumerate(sorted(changes))}
        added = ", ".join(f"{name} :{name[1:]}" for name in names)
        return [
            {
                "Update": {
                    "TableName": self.table_name,
                    "Key": to_item({"id": _LABELLED + line}),
                    "UpdateExpression": f"ADD {added}",
                    "ExpressionAttributeNames": names,
                    "ExpressionAttributeValues": to_item(values),
                }
            }
        ]

    def _get(self, identity: str) -> dict[str, Any]:
        reply = self.client.get_item(TableName=self.table_name, Key=to_item({"id": identity}))
        return from_item(reply.get("Item", {}))

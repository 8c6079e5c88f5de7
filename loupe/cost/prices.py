"""AWS's prices as dated data: prices.json, and files that bring newer ones."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from loupe.errors import LoupeError

# The region whose price stands in where none is recorded for another one.
REFERENCE_REGION = "us-east-1"
_FIELDS: dict[str, Any] = {
    "service": str,
    "item": str,
    "region": str,
    "price": (int, float),
    "per": (int, float),
    "unit": str,
}
_NEWER = "Look it up: loupe cost --refresh FILE, then --prices FILE"


@dataclass(frozen=True, slots=True)
class Price:
    """A price of AWS.

    Attributes:
        service: The service, such as S3.
        item: What is paid, such as s3.put.
        region: Where.
        price: US dollars.
        per: For so many units.
        unit: Of what.
        as_of: The date of the record, YYYY-MM-DD.
        page: The page that states it.
        note: What is uncertain about it; may be empty.
    """

    service: str
    item: str
    region: str
    price: float
    per: float
    unit: str
    as_of: str
    page: str
    note: str = ""

    def of(self, quantity: float) -> float:
        """Return US dollars for a quantity."""
        return self.price * quantity / self.per


@dataclass(frozen=True)
class Prices:
    """The known prices.

    Attributes:
        by_item: By item and region.
    """

    by_item: dict[tuple[str, str], Price]

    @classmethod
    def recorded(cls) -> Prices:
        """Return the prices of prices.json."""
        text = resources.files("loupe.cost").joinpath("prices.json").read_text("utf-8")
        return cls._of(json.loads(text), "prices.json")

    @classmethod
    def load(cls, files: Iterable[Path] = ()) -> Prices:
        """Return the recorded prices, replaced by those of files in the same form.

        Raises:
            LoupeError: A file cannot be read, or is not such a file.
        """
        found = dict(cls.recorded().by_item)
        for file in files:
            try:
                document = json.loads(file.read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise LoupeError(f"cannot read prices from {file}: {error}", _NEWER) from error
            found |= cls._of(document, str(file)).by_item
        return cls(found)

    @classmethod
    def _of(cls, document: Any, name: str) -> Prices:
        try:
            sources = document["sources"]
            prices = [_price(row, sources) for row in document["prices"]]
        except (KeyError, TypeError, ValueError) as error:
            raise LoupeError(
                f"{name} is not a file of prices: {type(error).__name__} {error}",
                "Its form is that of loupe/cost/prices.json (docs/cost.md).",
            ) from error
        return cls({(price.item, price.region): price for price in prices})

    def find(self, item: str, region: str) -> Price | None:
        """Return the price of an item in a region, or in the reference region; None if neither is known."""
        return self.by_item.get((item, region)) or self.by_item.get((item, REFERENCE_REGION))

    def instance(self, use: str, instance_type: str, region: str) -> Price:
        """Return the price of an instance for an hour.

        Args:
            use: endpoint, training or processing.
            instance_type: Such as ml.g5.xlarge.
            region: Where.

        Raises:
            LoupeError: No price is recorded.
        """
        items = (f"{use}.{instance_type}", f"instance.{instance_type}")
        for where in dict.fromkeys((region, REFERENCE_REGION)):
            for item in items:
                if price := self.by_item.get((item, where)):
                    return price
        raise LoupeError(f"no price of {instance_type} for {use} is recorded", _NEWER)

    def need(self, item: str, region: str) -> Price:
        """Return a price that prices.json has for every region. Raises LoupeError if it does not."""
        price = self.find(item, region)
        if price is None:
            raise LoupeError(f"no price of {item} is recorded", _NEWER)
        return price

    def instance_types(self, region: str) -> list[str]:
        """Return the instance types with a price for endpoints in a region or the reference region."""
        return sorted(
            {
                item.partition(".")[2]
                for item, where in self.by_item
                if item.partition(".")[0] in ("endpoint", "instance") and where in (region, REFERENCE_REGION)
                if item.partition(".")[2].startswith("ml.")
            }
        )


def _price(row: Any, sources: Any) -> Price:
    for name, kind in _FIELDS.items():
        if not isinstance(row[name], kind) or isinstance(row[name], bool):
            raise ValueError(f"{name} of {row.get('item')}")
    if not 0 <= row["price"] < float("inf") or not row["per"] > 0:
        raise ValueError(f"price of {row['item']}")
    source = sources[row["source"]]
    fields = {name: row[name] for name in _FIELDS}
    return Price(**fields, as_of=str(source["as_of"]), page=str(source["page"]), note=source.get("note", ""))

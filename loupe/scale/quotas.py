"""AWS's quotas, and the figures that were measured or assumed (quotas.json)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota of AWS.

    Attributes:
        name: Stable, for programs.
        value: How much of the unit.
        unit: Of what.
        adjustable: Whether AWS raises it on request.
        page: The page that states it.
        as_of: When that was looked up.
        note: What the page says besides.
    """

    name: str
    value: float
    unit: str
    adjustable: bool
    page: str
    as_of: str
    note: str


def quota(name: str, region: str | None = None) -> Quota:
    """Return a quota.

    Args:
        name: Its name.
        region: Where, for those that differ; None for what every region has.

    >>> quota("sns.publish", "us-east-1").value, quota("sns.publish").value
    (30000, 300)
    """
    row = _document()["quotas"][name]
    source = _document()["sources"][row["source"]]
    value = row.get("regions", {}).get(region, row["value"])
    return Quota(
        name, value, row["unit"], row["adjustable"], source["page"], source["as_of"], source.get("note", "")
    )


@cache
def value(name: str, region: str | None = None) -> float:
    """Return a quota's value."""
    return quota(name, region).value


def names() -> list[str]:
    """Return the names of all quotas."""
    return list(_document()["quotas"])


@cache
def assumed(name: str) -> float:
    """Return a figure that was measured nowhere."""
    return float(_document()["assumed"][name]["value"])


def measured() -> Any:
    """Return the figures that were measured, each with its page."""
    return _document()["measured"]


def assumptions() -> dict[str, str]:
    """Return what is assumed, in words."""
    return {name: row["from"] for name, row in _document()["assumed"].items()}


@cache
def _document() -> Any:
    document = json.loads(resources.files("loupe.scale").joinpath("quotas.json").read_text("utf-8"))
    return document | {"quotas": {row["name"]: row for row in document["quotas"]}}

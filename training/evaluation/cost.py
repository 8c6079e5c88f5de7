"""What a training cost, from what its model.json tells and training/prices.json. An estimate, and it says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Training:
    """Seconds of training, the instance or device it ran on, whether it was tuned, and its price.

    cost: US dollars, None where the instance is unknown, has no price in the list, or was no instance.
    """

    seconds: float | None = None
    instance: str | None = None
    device: str | None = None
    tuned: bool | None = None
    cost: float | None = None


def prices() -> dict[str, Any]:
    """The dated price list, training/prices.json."""
    document: dict[str, Any] = json.loads(
        resources.files("training.evaluation").joinpath("prices.json").read_text()
    )
    return document


def training(metrics: Mapping[str, Any]) -> Training:
    """What a model card's `metrics` say of its training; fields that are missing or no such thing are None."""
    said = metrics.get("training")
    if not isinstance(said, Mapping):
        return Training()
    seconds, instance, device, tuned = (
        _of(said.get(name), kind)
        for name, kind in (("seconds", int | float), ("instance_type", str), ("device", str), ("tuned", bool))
    )
    price = prices()["instances"].get(instance)
    cost = seconds / 3600 * price if price is not None and seconds is not None else None
    return Training(seconds, instance, device, tuned, cost)


def _of(value: Any, kind: Any) -> Any:
    # A bool is an int to Python, but no number of seconds.
    return value if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) else None

"""What a training cost: an estimate from its model.json and the price list prices.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """How long a training took, on what, and its estimated price.

    Attributes:
        seconds: Of training.
        instance: The SageMaker instance type.
        device: "cpu" or "cuda".
        tuned: Whether tuning chose the hyperparameters.
        cost: US dollars; None if there was no instance, or the price list lacks it.
    """

    seconds: float | None = None
    instance: str | None = None
    device: str | None = None
    tuned: bool | None = None
    cost: float | None = None


def price_list() -> dict[str, Any]:
    """Return the dated price list, training/evaluation/prices.json."""
    document: dict[str, Any] = json.loads(
        resources.files("training.evaluation").joinpath("prices.json").read_text()
    )
    return document


def training_cost(metrics: Mapping[str, Any]) -> TrainingCost:
    """Return what a model card's `metrics` contain about its training. Missing or invalid fields are None."""
    training = metrics.get("training")
    if not isinstance(training, Mapping):
        return TrainingCost()
    seconds, instance, device, tuned = (
        _of_type(training.get(name), kind)
        for name, kind in (("seconds", int | float), ("instance_type", str), ("device", str), ("tuned", bool))
    )
    price = price_list()["instances"].get(instance)
    cost = seconds / 3600 * price if price is not None and seconds is not None else None
    return TrainingCost(seconds, instance, device, tuned, cost)


def _of_type(value: Any, kind: Any) -> Any:
    # In Python a bool is an int, but it is not a number of seconds.
    return value if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) else None

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
        cost: US dollars; None if the training did not run on an instance, or the price list lacks it.
        aws_instance: For a training elsewhere, the instance type that a price is estimated for.
        aws_cost: US dollars for the same time on it; None if there is nothing to estimate.
    """

    seconds: float | None = None
    instance: str | None = None
    device: str | None = None
    tuned: bool | None = None
    cost: float | None = None
    aws_instance: str | None = None
    aws_cost: float | None = None


# What a training on AWS would usually take: the pipeline's default, and for a CPU the cheapest in the price list.
_USUAL_INSTANCE = {"cuda": "ml.g5.xlarge", "cpu": "ml.c5.xlarge"}
_WITH_GPU = ("ml.g", "ml.p")


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
    prices = price_list()["instances"]
    if _ran_there(training, instance, device):
        return TrainingCost(seconds, instance, device, tuned, _price(seconds, prices.get(instance)))
    usual = instance or _USUAL_INSTANCE.get(device or "")
    cost = _price(seconds, prices.get(usual))
    return TrainingCost(seconds, instance, device, tuned, None, usual, cost)


def _ran_there(training: Mapping[str, Any], instance: str | None, device: str | None) -> bool:
    """Whether the training ran on its instance. The local cloud gives the instance's name to a run on a laptop."""
    if instance is None or training.get("on_instance") is False:
        return False
    # Cards from before `on_instance`: an instance with a GPU uses it.
    return "on_instance" in training or not (device == "cpu" and instance.startswith(_WITH_GPU))


def _price(seconds: float | None, per_hour: float | None) -> float | None:
    return None if seconds is None or per_hour is None else seconds / 3600 * per_hour


def _of_type(value: Any, kind: Any) -> Any:
    # In Python a bool is an int, but it is not a number of seconds.
    return value if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) else None

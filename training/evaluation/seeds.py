"""How much of a model's precision is chance: models of one recipe that differ by their seed alone."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

from training.model.artefact import ModelCard

_NO_PART_OF_IT = {"seed", "name", "workers"}  # of a recipe; what these change is chance, or nothing
_METRICS = ("map", "map50")


def repeated(cards: Sequence[ModelCard], found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the models that were trained alike from two seeds or more: the mean and the spread of each metric.

    found: per card its `map` and `map50`, None where there were no labels. Returns, per recipe, the family, the
    seeds in order, and per metric the mean and the sample standard deviation (over n - 1).
    """
    groups: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for card, each in zip(cards, found, strict=True):
        seed = card.hyperparameters.get("seed")
        if seed is not None and None not in (each[name] for name in _METRICS):
            groups.setdefault((card.family, _recipe(card)), {})[seed] = each
    return [
        {"family": family, "seeds": sorted(group)}
        | {name: _spread([each[name] for each in group.values()]) for name in _METRICS}
        for (family, _), group in groups.items()
        if len(group) > 1
    ]


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": statistics.fmean(values), "sd": statistics.stdev(values)}


def _recipe(card: ModelCard) -> str:
    settings = {name: value for name, value in card.hyperparameters.items() if name not in _NO_PART_OF_IT}
    learned = card.metrics.get("training")
    start = learned.get("pretrained") if isinstance(learned, dict) else None
    return json.dumps([settings, card.dataset.get("snapshot"), start], sort_keys=True)

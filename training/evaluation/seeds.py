"""How much of a model's precision is chance: the spread of models whose training differs by the seed alone."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

from training.evaluation.summary import IMAGE_FIGURES
from training.model.artefact import ModelCard

# Hyperparameters that change a model by chance only, or not at all.
_NOT_IN_RECIPE = {"seed", "name", "workers"}
METRICS = ("map", "map50", *IMAGE_FIGURES)


def seed_statistics(cards: Sequence[ModelCard], reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return mean and spread of each metric for the models that were trained alike from at least two seeds.

    Args:
        cards: Of the models.
        reports: Of each model its figures; None where they are not defined.

    Returns:
        Per recipe the "family", the "seeds" in order, and per metric that all of its models have its "mean" and "sd",
        the sample standard deviation (over n - 1).
    """
    groups: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for card, report in zip(cards, reports, strict=True):
        seed = card.hyperparameters.get("seed")
        if seed is not None and any(report.get(name) is not None for name in METRICS):
            groups.setdefault((card.family, _recipe(card)), {})[seed] = report
    return [
        {"family": family, "seeds": sorted(group)}
        | {
            name: _spread([report[name] for report in group.values()])
            for name in METRICS
            if all(report.get(name) is not None for report in group.values())
        }
        for (family, _), group in groups.items()
        if len(group) > 1
    ]


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": statistics.fmean(values), "sd": statistics.stdev(values)}


def _recipe(card: ModelCard) -> str:
    """Everything that decides the trained model, apart from chance."""
    settings = {name: value for name, value in card.hyperparameters.items() if name not in _NOT_IN_RECIPE}
    training = card.metrics.get("training")
    pretrained = training.get("pretrained") if isinstance(training, dict) else None
    return json.dumps([settings, card.dataset.get("snapshot"), pretrained], sort_keys=True)

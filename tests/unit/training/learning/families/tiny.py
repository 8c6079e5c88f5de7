"""A family for tests in which the family does not matter: an epoch and an export take a fifth of ssdlite's time."""

from __future__ import annotations

from training.detectors.architectures.gfl import GflEfficientNetLite
from training.detectors.base import PublicWeights, Recipe

RECIPE = Recipe(input_size=64, batch_size=8, learning_rate=3e-3, weight_decay=0.01, epochs=2)
WEIGHTS: dict[str, PublicWeights] = {}


def build(classes: int, input_size: int) -> GflEfficientNetLite:
    """Return a new GFL on timm's smallest EfficientNet."""
    return GflEfficientNetLite("tiny", "test_efficientnet", classes, input_size)

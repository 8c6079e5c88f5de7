"""GFL on EfficientNet-Lite2: 1.4 times as large as on Lite0."""

from __future__ import annotations

from training.detectors.architectures.gfl import GflEfficientNetLite
from training.detectors.base import PublicWeights, Recipe

RECIPE = Recipe(input_size=256, batch_size=16, learning_rate=1e-3, weight_decay=0.02, epochs=24)
WEIGHTS = {"imagenet": PublicWeights("huggingface", "timm/tf_efficientnet_lite2.in1k")}


def build(classes: int, input_size: int) -> GflEfficientNetLite:
    """Return a new GFL for `classes` labels and a square input of `input_size` pixels, usually 256."""
    return GflEfficientNetLite("gfl_efficientnet_lite2", "tf_efficientnet_lite2", classes, input_size)

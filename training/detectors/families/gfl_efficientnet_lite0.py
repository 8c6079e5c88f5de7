"""GFL on EfficientNet-Lite0: small, and the most accurate for its time on a CPU."""

from __future__ import annotations

from training.detectors.architectures.efficientnet_lite import INSTALLED_LITE0
from training.detectors.architectures.gfl import GflEfficientNetLite
from training.detectors.base import PublicWeights, Recipe

RECIPE = Recipe(input_size=256, batch_size=16, learning_rate=7e-4, weight_decay=0.02, epochs=60)
WEIGHTS = {
    "imagenet": PublicWeights("huggingface", "timm/tf_efficientnet_lite0.in1k"),
    "imagenet-installed": INSTALLED_LITE0,
}


def build(classes: int, input_size: int) -> GflEfficientNetLite:
    """Return a new GFL for `classes` labels and a square input of `input_size` pixels, usually 256."""
    return GflEfficientNetLite("gfl_efficientnet_lite0", "tf_efficientnet_lite0", classes, input_size)

"""SSDLite on MobileNetV3-Large, from torchvision: small, fast on a CPU, trainable from scratch.

Howard et al. 2019, https://arxiv.org/abs/1905.02244.
"""

from __future__ import annotations

import re

from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from training.detectors.architectures.ssd import MultiBoxDetector
from training.detectors.base import PublicWeights, Recipe, check_input_size

RECIPE = Recipe(input_size=320, batch_size=16, learning_rate=1.5e-3, weight_decay=0.01, epochs=60)
WEIGHTS = {
    "coco": PublicWeights("torchvision", "SSDLite320_MobileNet_V3_Large_Weights.COCO_V1"),
    "imagenet": PublicWeights("torchvision", "MobileNet_V3_Large_Weights.IMAGENET1K_V2"),
}

# The block of MobileNetV3 that torchvision cuts in two: the first map ends after its expansion.
_C4 = 13


class SsdLite(MultiBoxDetector):
    """torchvision's SSDLite320, at any input size."""

    family = "ssdlite"

    def __init__(self, classes: int, input_size: int) -> None:
        check_input_size(self.family, input_size, smallest=128, largest=1280)
        model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes + 1)
        normalisation = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
        super().__init__(model.backbone, model.head, model.anchor_generator, input_size, normalisation)

    def own_name(self, name: str) -> str:
        """Return this model's name for a tensor of torchvision's MobileNetV3, whose blocks are numbered: features.N."""
        if not (match := re.fullmatch(r"features\.(\d+)\.(.+)", name)):
            return name
        block, rest = int(match[1]), match[2]
        if block < _C4:
            return f"backbone.features.0.{block}.{rest}"
        if block > _C4:
            return f"backbone.features.1.{block - _C4}.{rest}"
        _, part, rest = rest.split(".", 2)
        return (
            f"backbone.features.0.{_C4}.{rest}"
            if part == "0"
            else f"backbone.features.1.0.{int(part) - 1}.{rest}"
        )


def build(classes: int, input_size: int) -> SsdLite:
    """Return a new SSDLite for `classes` labels and a square input of `input_size` pixels, usually 320."""
    return SsdLite(classes, input_size)

"""SSD300 on VGG16, from torchvision: the classic, heavy in its backbone and without batch norm.

Liu et al. 2016, https://arxiv.org/abs/1512.02325.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torchvision.models.detection import ssd300_vgg16

from training.detectors.architectures.ssd import MultiBoxDetector
from training.detectors.base import PublicWeights, Recipe, check_input_size

RECIPE = Recipe(input_size=300, batch_size=8, learning_rate=1e-4, weight_decay=5e-4, epochs=60)
WEIGHTS = {
    "coco": PublicWeights("torchvision", "SSD300_VGG16_Weights.COCO_V1"),
    "imagenet": PublicWeights("torchvision", "VGG16_Weights.IMAGENET1K_FEATURES"),
}

_PUBLISHED_SIZE = 300
_CONV4_LAYERS = 23  # of VGG16; torchvision's backbone moves the rest into its extra blocks
_NORMAL_STD = 0.226 * 255  # of natural images, in the units of this graph's input


class Ssd300(MultiBoxDetector):
    """torchvision's SSD300, at any input size."""

    family = "ssd300_vgg16"

    def __init__(self, classes: int, input_size: int) -> None:
        check_input_size(self.family, input_size, smallest=96, largest=1280)
        model = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=classes + 1)
        # The published weights expect pixels in 0..255 minus their mean.
        normalisation = {"mean": [0.48235, 0.45882, 0.40784], "std": [1 / 255] * 3}
        # Random weights expect an input of unit variance instead.
        with torch.no_grad():
            model.backbone.features[0].weight.div_(_NORMAL_STD)
        if input_size != _PUBLISHED_SIZE:
            # The published strides are for 300 pixels. None: use those of the maps, at any size.
            model.anchor_generator.steps = None
        _pad_small_maps(model.backbone.extra, model.backbone.features, input_size)
        super().__init__(model.backbone, model.head, model.anchor_generator, input_size, normalisation)

    def own_name(self, name: str) -> str:
        """Return this model's name for a tensor of torchvision's VGG16, whose layers are numbered: features.N."""
        if not (match := re.fullmatch(r"features\.(\d+)\.(.+)", name)):
            return name
        layer, rest = int(match[1]), match[2]
        if layer < _CONV4_LAYERS:
            return f"backbone.features.{layer}.{rest}"
        return f"backbone.extra.0.{layer - _CONV4_LAYERS}.{rest}"


def _pad_small_maps(extra: nn.ModuleList, features: nn.Module, input_size: int) -> None:
    """Pad the convolutions of the last blocks whose map would be smaller than their kernel."""
    with torch.no_grad():
        maps: Tensor = features(torch.zeros(1, 3, input_size, input_size))
        for block in extra:
            for layer in block.modules():
                if (
                    isinstance(layer, nn.Conv2d)
                    and layer.padding == (0, 0)
                    and min(maps.shape[2:]) < layer.kernel_size[0]
                ):
                    layer.padding = (1, 1)
            maps = block(maps)


def build(classes: int, input_size: int) -> Ssd300:
    """Return a new SSD for `classes` labels and a square input of `input_size` pixels, usually 300."""
    return Ssd300(classes, input_size)

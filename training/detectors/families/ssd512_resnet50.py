"""SSD512 on ResNet50: torchvision's SSD head and anchors on its ResNet, for small objects in large images.

Liu et al. 2016, https://arxiv.org/abs/1512.02325 (seven maps for 512 pixels); He et al. 2015,
https://arxiv.org/abs/1512.03385.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from itertools import pairwise

from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSDHead
from torchvision.ops import Conv2dNormActivation

from training.detectors.architectures.ssd import MultiBoxDetector
from training.detectors.base import PublicWeights, Recipe, check_input_size

RECIPE = Recipe(input_size=512, batch_size=8, learning_rate=3e-4, weight_decay=0.01, epochs=60)
WEIGHTS = {"imagenet": PublicWeights("torchvision", "ResNet50_Weights.IMAGENET1K_V2")}

_CHANNELS = [512, 1024, 2048, 512, 256, 256, 256]  # of the maps; the first three are the ResNet's
_RATIOS = [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]]
_SCALES = [0.04, 0.1, 0.26, 0.42, 0.58, 0.74, 0.9, 1.06]  # the paper's for 512 pixels on COCO


class _Backbone(nn.Module):
    """The maps of stride 8, 16 and 32, and four more, each half as large as the one before."""

    def __init__(self) -> None:
        super().__init__()
        layers = {"layer2": "0", "layer3": "1", "layer4": "2"}
        self.body = IntermediateLayerGetter(resnet50(weights=None), layers)
        self.extra = nn.ModuleList(
            nn.Sequential(
                Conv2dNormActivation(before, after // 2, kernel_size=1),
                Conv2dNormActivation(after // 2, after, kernel_size=3, stride=2),
            )
            for before, after in pairwise(_CHANNELS[2:])
        )

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        maps: OrderedDict[str, Tensor] = self.body(pixels)
        for number, block in enumerate(self.extra):
            maps[f"extra{number}"] = block(next(reversed(maps.values())))
        return maps


class Ssd512(MultiBoxDetector):
    """SSD with seven maps on ResNet50."""

    family = "ssd512_resnet50"

    def __init__(self, classes: int, input_size: int) -> None:
        check_input_size(self.family, input_size, smallest=96, largest=1280)
        generator = DefaultBoxGenerator(_RATIOS, scales=_SCALES)
        head = SSDHead(_CHANNELS, generator.num_anchors_per_location(), classes + 1)
        normalisation = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
        super().__init__(_Backbone(), head, generator, input_size, normalisation)

    def own_name(self, name: str) -> str:
        """Return this model's name for a tensor of torchvision's ResNet50."""
        return f"backbone.body.{name}" if re.match(r"(conv1|bn1|layer\d)\.", name) else name


def build(classes: int, input_size: int) -> Ssd512:
    """Return a new SSD for `classes` labels and a square input of `input_size` pixels, usually 512."""
    return Ssd512(classes, input_size)

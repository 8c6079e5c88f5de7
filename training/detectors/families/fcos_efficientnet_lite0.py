"""FCOS on EfficientNet-Lite0: without anchors, small, made to be fine-tuned from ImageNet weights on a CPU.

FCOS: Tian et al. 2019, https://arxiv.org/abs/1904.01355. EfficientNet-Lite: the backbone of Tan and Le 2019
(https://arxiv.org/abs/1905.11946) without squeeze-and-excitation, for edge devices.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOS, FCOSHead
from torchvision.models.detection.image_list import ImageList

from training.detectors.architectures.efficientnet_lite import (
    CHANNELS,
    INSTALLED_LITE0,
    STRIDES,
    PyramidDetector,
)
from training.detectors.base import PublicWeights, Recipe, Target

RECIPE = Recipe(input_size=256, batch_size=16, learning_rate=7e-4, weight_decay=0.02, epochs=40)
WEIGHTS = {
    "imagenet": PublicWeights("huggingface", "timm/tf_efficientnet_lite0.in1k"),
    "imagenet-installed": INSTALLED_LITE0,
}

# In each tower. Four of 256 channels, as in the paper, would cost ten times as much as the backbone.
_CONVOLUTIONS = 2


class FcosEfficientNetLite(PyramidDetector):
    """torchvision's FCOS head, targets and losses on timm's backbone."""

    places = f"corners of the cells of strides {STRIDES}"

    def __init__(self, classes: int, input_size: int) -> None:
        super().__init__("fcos_efficientnet_lite0", "tf_efficientnet_lite0", input_size)
        self.head: nn.Module = FCOSHead(CHANNELS, 1, classes, _CONVOLUTIONS)
        generator = AnchorGenerator(tuple((stride,) for stride in STRIDES), ((1.0,),) * len(STRIDES))
        # In a tuple, so that its parameters, which are this model's, are not registered twice.
        self._fcos = (FCOS(self.backbone, classes, anchor_generator=generator, head=self.head),)
        blank = torch.zeros(1, 3, input_size, input_size)
        self.eval()
        with torch.no_grad():
            maps = self.backbone(blank)
        self.train()
        self._points_per_level = [level.shape[2] * level.shape[3] for level in maps]
        anchors = generator(ImageList(blank, [(input_size, input_size)]), maps)[0]
        self.register_buffer("anchors", anchors, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        output = self._head(images)
        sizes = self._anchors[:, 2:] - self._anchors[:, :2]
        centres = self._anchors[:, :2] + sizes / 2
        edges = output["bbox_regression"]  # left, top, right, bottom, in units of the stride
        boxes = torch.cat([centres - edges[..., :2] * sizes, centres + edges[..., 2:] * sizes], dim=-1)
        scores = (output["cls_logits"].sigmoid() * output["bbox_ctrness"].sigmoid()).sqrt()
        return (boxes / self.input_size).clamp(0, 1), scores

    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        labelled = [{"boxes": target.boxes * self.input_size, "labels": target.classes} for target in targets]
        anchors = [self._anchors] * len(targets)
        losses: dict[str, Tensor] = self._fcos[0].compute_loss(
            labelled, self._head(images), anchors, self._points_per_level
        )
        return losses

    @property
    def _anchors(self) -> Tensor:
        return self.get_buffer("anchors")

    def _head(self, images: Tensor) -> dict[str, Tensor]:
        return {name: value.float() for name, value in self.head(self.backbone(self._pixels(images))).items()}


def build(classes: int, input_size: int) -> FcosEfficientNetLite:
    """Return a new FCOS for `classes` labels and a square input of `input_size` pixels, usually 256."""
    return FcosEfficientNetLite(classes, input_size)

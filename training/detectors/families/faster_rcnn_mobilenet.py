"""Faster R-CNN on MobileNetV3-Large with a feature pyramid, from torchvision: two stages on a small budget.

Howard et al. 2019, https://arxiv.org/abs/1905.02244.
"""

from __future__ import annotations

from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

from training.detectors.architectures.faster_rcnn import SAMPLES, TwoStageDetector
from training.detectors.base import PublicWeights, Recipe, check_input_size

RECIPE = Recipe(input_size=320, batch_size=8, learning_rate=5e-4, weight_decay=0.01, epochs=40)
WEIGHTS = {
    "coco": PublicWeights("torchvision", "FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.COCO_V1"),
    "imagenet": PublicWeights("torchvision", "MobileNet_V3_Large_Weights.IMAGENET1K_V2"),
}


class FasterRcnnMobileNet(TwoStageDetector):
    """Two levels of features, and 150 proposals, torchvision's number for 320 pixels."""

    family = "faster_rcnn_mobilenet"

    def __init__(self, classes: int, input_size: int) -> None:
        check_input_size(self.family, input_size, smallest=64, largest=1600)
        model = fasterrcnn_mobilenet_v3_large_320_fpn(
            weights=None, weights_backbone=None, num_classes=classes + 1, box_batch_size_per_image=SAMPLES
        )
        super().__init__(model, input_size)


def build(classes: int, input_size: int) -> FasterRcnnMobileNet:
    """Return a new Faster R-CNN for `classes` labels and a square input of `input_size` pixels, usually 320."""
    return FasterRcnnMobileNet(classes, input_size)

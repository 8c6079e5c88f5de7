"""Faster R-CNN on ResNet50 with a feature pyramid, torchvision's second version: accurate, and heavy.

Li et al. 2021, https://arxiv.org/abs/2111.11429.
"""

from __future__ import annotations

from torchvision.models.detection import fasterrcnn_resnet50_fpn_v2

from training.detectors.architectures.faster_rcnn import PROPOSALS, SAMPLES, TwoStageDetector
from training.detectors.base import PublicWeights, Recipe, check_input_size

RECIPE = Recipe(input_size=512, batch_size=4, learning_rate=2e-4, weight_decay=0.01, epochs=30)
WEIGHTS = {
    "coco": PublicWeights("torchvision", "FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1"),
    "imagenet": PublicWeights("torchvision", "ResNet50_Weights.IMAGENET1K_V2"),
}


class FasterRcnnResNet50(TwoStageDetector):
    """Five levels of proposals; four convolutions classify each."""

    family = "faster_rcnn_resnet50"

    def __init__(self, classes: int, input_size: int) -> None:
        check_input_size(self.family, input_size, smallest=64, largest=1600)
        model = fasterrcnn_resnet50_fpn_v2(
            weights=None,
            weights_backbone=None,
            num_classes=classes + 1,
            rpn_post_nms_top_n_test=PROPOSALS,
            box_batch_size_per_image=SAMPLES,
        )
        super().__init__(model, input_size)


def build(classes: int, input_size: int) -> FasterRcnnResNet50:
    """Return a new Faster R-CNN for `classes` labels and a square input of `input_size` pixels, usually 512."""
    return FasterRcnnResNet50(classes, input_size)

"""RT-DETRv2 on ResNet18-vd: a real-time transformer with a plain convolutional backbone.

Lv et al. 2024, https://arxiv.org/abs/2407.17140 (rtdetrv2_r18vd_120e_coco.yml of its code).
"""

from __future__ import annotations

from typing import Any

from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

from training.detectors.architectures.detr import QueryDetector, configure
from training.detectors.base import PublicWeights, Recipe

RECIPE = Recipe(input_size=320, batch_size=8, learning_rate=1e-4, weight_decay=1e-4, epochs=60)
WEIGHTS = {"coco": PublicWeights("huggingface", "PekingU/rtdetr_v2_r18vd")}

_BACKBONE: dict[str, Any] = {
    "hidden_sizes": [64, 128, 256, 512],
    "depths": [2, 2, 2, 2],
    "layer_type": "basic",
    "out_indices": [2, 3, 4],
}
_SETTINGS: dict[str, Any] = {
    "encoder_in_channels": [128, 256, 512],
    "hidden_expansion": 0.5,
    "decoder_layers": 3,
}


class RtDetrV2(QueryDetector):
    """RT-DETRv2 of the transformers library."""

    family = "rtdetr_v2"
    renamings = ((r"(\.layers\.\d+)\.(fc[12])\.", r"\1.mlp.\2."),)

    def __init__(self, classes: int, input_size: int) -> None:
        config = RTDetrV2Config(backbone_config=RTDetrResNetConfig(**_BACKBONE), **_SETTINGS)
        super().__init__(
            RTDetrV2ForObjectDetection(configure(config, self.family, classes, input_size)), input_size
        )


def build(classes: int, input_size: int) -> RtDetrV2:
    """Return a new RT-DETRv2 for `classes` labels; `input_size` in steps of 32 pixels, usually 320."""
    return RtDetrV2(classes, input_size)

"""D-FINE nano: the smallest of the most accurate real-time detectors.

Peng et al. 2024, https://arxiv.org/abs/2410.13842 (configs/dfine/dfine_hgnetv2_n_coco.yml of its code).
"""

from __future__ import annotations

from training.detectors.architectures.dfine import DFine
from training.detectors.base import PublicWeights, Recipe

RECIPE = Recipe(input_size=320, batch_size=8, learning_rate=4e-4, weight_decay=1e-4, epochs=60)
WEIGHTS = {
    "coco": PublicWeights("huggingface", "ustc-community/dfine-nano-coco"),
    "imagenet": PublicWeights("huggingface", "timm/hgnetv2_b0.ssld_stage2_ft_in1k"),
}

_MAPS = [3, 4]
_SETTINGS = {
    "num_feature_levels": 2,
    "feat_strides": [16, 32],
    "encoder_in_channels": [512, 1024],
    "encoder_hidden_dim": 128,
    "encoder_ffn_dim": 512,
    "encode_proj_layers": [1],
    "hidden_expansion": 0.34,
    "depth_mult": 0.5,
    "d_model": 128,
    "decoder_in_channels": [128, 128],
    "decoder_ffn_dim": 512,
    "decoder_n_points": [6, 6],
    "decoder_layers": 3,
}


def build(classes: int, input_size: int) -> DFine:
    """Return a new D-FINE nano for `classes` labels; `input_size` in steps of 32 pixels, usually 320."""
    return DFine("dfine_nano", classes, input_size, _MAPS, _SETTINGS)

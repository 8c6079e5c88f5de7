"""D-FINE small: three levels of maps and twice nano's width.

Peng et al. 2024, https://arxiv.org/abs/2410.13842 (configs/dfine/dfine_hgnetv2_s_coco.yml of its code).
"""

from __future__ import annotations

from training.detectors.architectures.dfine import DFine
from training.detectors.base import PublicWeights, Recipe

RECIPE = Recipe(input_size=320, batch_size=8, learning_rate=2e-4, weight_decay=1e-4, epochs=60)
WEIGHTS = {
    "coco": PublicWeights("huggingface", "ustc-community/dfine-small-coco"),
    "imagenet": PublicWeights("huggingface", "timm/hgnetv2_b0.ssld_stage2_ft_in1k"),
}

_MAPS = [2, 3, 4]
_SETTINGS = {
    "num_feature_levels": 3,
    "feat_strides": [8, 16, 32],
    "encoder_in_channels": [256, 512, 1024],
    "encoder_hidden_dim": 256,
    "encoder_ffn_dim": 1024,
    "encode_proj_layers": [2],
    "hidden_expansion": 0.5,
    "depth_mult": 0.34,
    "d_model": 256,
    "decoder_in_channels": [256, 256, 256],
    "decoder_ffn_dim": 1024,
    "decoder_n_points": [3, 6, 3],
    "decoder_layers": 3,
}


def build(classes: int, input_size: int) -> DFine:
    """Return a new D-FINE small for `classes` labels; `input_size` in steps of 32 pixels, usually 320."""
    return DFine("dfine_small", classes, input_size, _MAPS, _SETTINGS)

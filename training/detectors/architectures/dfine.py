"""The base of the D-FINE families.

Peng et al. 2024, https://arxiv.org/abs/2410.13842; its configurations: https://github.com/Peterande/D-FINE.
"""

from __future__ import annotations

from typing import Any

from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config

from training.detectors.architectures.detr import QueryDetector, configure

# HGNetV2-B0, as configured for D-FINE.
_BACKBONE: dict[str, Any] = {
    "stem_channels": [3, 16, 16],
    "stage_in_channels": [16, 64, 256, 512],
    "stage_mid_channels": [16, 32, 64, 128],
    "stage_out_channels": [64, 256, 512, 1024],
    "stage_num_blocks": [1, 1, 2, 1],
    "stage_downsample": [False, True, True, True],
    "stage_light_block": [False, False, True, True],
    "stage_kernel_size": [3, 3, 5, 5],
    "stage_numb_of_layers": [3, 3, 3, 3],
    "hidden_sizes": [128, 256, 512, 1024],
    "embedding_size": 32,
    "use_learnable_affine_block": True,
}


class DFine(QueryDetector):
    """D-FINE on HGNetV2-B0."""

    # For timm's HGNetV2 and for D-FINE's own backbone files.
    renamings = (
        (r"^(?:backbone\.)?stem\.", "network.model.backbone.model.embedder."),
        (r"^(?:backbone\.)?stages\.", "network.model.backbone.model.encoder.stages."),
        (r"^(network\.model\.backbone\..*)\.conv\.(weight)$", r"\1.convolution.\2"),
        (r"^(network\.model\.backbone\..*)\.bn\.(\w+)$", r"\1.normalization.\2"),
        (r"(\.layers\.\d+)\.fc1\.", r"\1.mlp.layers.0."),
        (r"(\.layers\.\d+)\.fc2\.", r"\1.mlp.layers.1."),
    )

    def __init__(
        self, family: str, classes: int, input_size: int, maps: list[int], settings: dict[str, Any]
    ) -> None:
        """Build a network with random weights.

        Args:
            family: Name of the family.
            classes: Number of labels.
            input_size: Side of the square input, in pixels.
            maps: The backbone's stages that feed the encoder.
            settings: Arguments of DFineConfig.
        """
        self.family = family
        config = DFineConfig(backbone_config=HGNetV2Config(**_BACKBONE | {"out_indices": maps}), **settings)
        super().__init__(DFineForObjectDetection(configure(config, family, classes, input_size)), input_size)

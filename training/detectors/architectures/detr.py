"""The base of the transformer families: a network of the transformers library with the interface of a detector.

They need no suppression: each object is matched to one query (Carion et al. 2020, https://arxiv.org/abs/2005.12872).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torchvision.ops import box_convert
from transformers import DFineConfig, PreTrainedModel, RTDetrV2Config

from training.detectors.base import Detector, Target, check_input_size
from training.model.decoding import Postprocess

Config = TypeVar("Config", DFineConfig, RTDetrV2Config)

_QUERIES = 300
_COARSEST_STRIDE = 32
# Pattern and replacement. The library renames these when it loads a checkpoint, so files have the old names.
_RENAMINGS = (
    (r"^(model\.|class_embed\.|bbox_embed\.)", r"network.\1"),
    (r"^network\.(class_embed|bbox_embed)\.", r"network.model.decoder.\1."),
    (r"\.out_proj\.", ".o_proj."),
    (r"\.encoder\.encoder\.(\d+)\.layers\.", r".encoder.aifi.\1.layers."),
)


class QueryDetector(Detector):
    """A network that gives logits [N, Q, C] and boxes [N, Q, 4] as (centre x, centre y, width, height) in 0..1."""

    backbone_prefix = "network.model.backbone."
    # Patterns and replacements of the family, applied after the shared ones.
    renamings: tuple[tuple[str, str], ...] = ()

    def __init__(self, network: PreTrainedModel, input_size: int) -> None:
        super().__init__()
        # The decoder has the same modules under its own names. Tensors with two names cannot be saved.
        del network.class_embed, network.bbox_embed
        self.network = network.train()
        self.input_size = input_size
        self.normalisation = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
        self.postprocess = Postprocess(score_threshold=0.05, nms_iou=None, candidates=_QUERIES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        # bfloat16 would round the boxes to 1/256.
        with torch.autocast(images.device.type, enabled=False):
            output = self.network(pixel_values=self._pixels(images))
        half = output.pred_boxes[..., 2:] / 2
        centres = output.pred_boxes[..., :2]
        return torch.cat([centres - half, centres + half], dim=-1).clamp(0, 1), output.logits.sigmoid()

    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        labels = [
            {"class_labels": target.classes, "boxes": box_convert(target.boxes, "xyxy", "cxcywh")}
            for target in targets
        ]
        pixels = self._pixels(images)
        with torch.autocast(images.device.type, enabled=False):
            try:
                parts = self.network(pixel_values=pixels, labels=labels).loss_dict
            except ValueError:  # raised by the library if boxes are not numbers
                if torch.isfinite(self.network(pixel_values=pixels).pred_boxes).all():
                    raise
                return {"boxes": pixels.new_tensor(torch.nan)}
        losses: dict[str, Tensor] = defaultdict(lambda: pixels.new_zeros(()))
        # loss_bbox_aux_1 is the same part in another layer.
        for name, value in parts.items():
            losses[name.split("_")[1]] = losses[name.split("_")[1]] + value
        return dict(losses)

    def own_name(self, name: str) -> str:
        """Return this model's name for a tensor of a checkpoint on the Hugging Face hub."""
        for pattern, replacement in (*_RENAMINGS, *self.renamings):
            name = re.sub(pattern, replacement, name)
        return name


def _query_count(family: str, input_size: int, strides: Sequence[int]) -> int:
    """Return 300, or the number of places in the maps if it is smaller. Raises UnsupportedInputSizeError."""
    check_input_size(family, input_size, smallest=64, largest=1280, multiple=_COARSEST_STRIDE)
    return min(_QUERIES, sum((input_size // stride) ** 2 for stride in strides))


def configure(config: Config, family: str, classes: int, input_size: int) -> Config:
    """Add to a family's configuration the settings that all transformer families share.

    Batch norms learn, since a network with random weights has no statistics to freeze. Scores begin at 0.01, as in
    the authors' code; with a single class the library's default would begin at 0.5.

    Raises:
        UnsupportedInputSizeError: The families do not take this size.
    """
    config.num_labels = classes
    config.num_queries = _query_count(family, input_size, config.feat_strides)
    config.freeze_backbone_batch_norms = False
    config.initializer_bias_prior_prob = 0.01
    config._attn_implementation = "eager"
    return config

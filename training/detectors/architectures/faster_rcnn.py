"""The base of the two-stage families: torchvision's Faster R-CNN with the interface of a detector.

Ren et al. 2015, https://arxiv.org/abs/1506.01497, with feature pyramids (Lin et al. 2017,
https://arxiv.org/abs/1612.03144).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.image_list import ImageList

from training.detectors.base import Detector, Target
from training.model.decoding import Postprocess

# Proposals that are classified in an image, as in the paper's experiments (its section 4).
PROPOSALS = 300
# Proposals of an image that the loss uses; 512, as for crowded scenes, costs a CPU four times as much.
SAMPLES = 128


class TwoStageDetector(Detector):
    """torchvision's parts without its resizing: the input already has the model's size.

    Each of the K proposals has one box for every class, so A = K * C, and the score of a box is nonzero only for its
    own class. The number of proposals differs from image to image, so the exported graph takes one image at a time.
    """

    any_batch = False

    def __init__(self, model: FasterRCNN, input_size: int) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.rpn = model.rpn
        self.roi_heads = model.roi_heads
        self.input_size = input_size
        # The classes and the background.
        self._kinds: int = model.roi_heads.box_predictor.cls_score.out_features
        self.normalisation = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
        self.postprocess = Postprocess(score_threshold=0.05, nms_iou=0.5)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features, frame = self._features(images)
        heads = self.roi_heads
        with torch.autocast(images.device.type, enabled=False):
            proposals, _ = self.rpn(frame, features)
            pooled = heads.box_roi_pool(features, proposals, frame.image_sizes)
            logits, offsets = heads.box_predictor(heads.box_head(pooled))
            # torchvision reshapes only where there are proposals, and the exporter's blank picture may have none.
            boxes = heads.box_coder.decode(offsets, proposals).reshape(-1, self._kinds, 4)[:, 1:]
            boxes = boxes / self.input_size
            scores = logits.softmax(dim=-1)[:, 1:]
        own_class = torch.eye(scores.shape[1], device=scores.device)
        scores = scores[:, :, None] * own_class
        # Without splitting and padding, which the exported graph does not need.
        if len(proposals) == 1:
            return boxes.clamp(0, 1).flatten(0, 1)[None], scores.flatten(0, 1)[None]
        counts = [len(image_proposals) for image_proposals in proposals]
        boxes, scores = (
            pad_sequence([part.flatten(0, 1) for part in tensor.split(counts)], batch_first=True)
            for tensor in (boxes.clamp(0, 1), scores)
        )
        return boxes, scores

    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        labelled = [
            {"boxes": target.boxes * self.input_size, "labels": target.classes + 1} for target in targets
        ]
        features, frame = self._features(images)
        with torch.autocast(images.device.type, enabled=False):
            proposals, proposal_losses = self.rpn(frame, features, labelled)
            _, head_losses = self.roi_heads(features, proposals, frame.image_sizes, labelled)
        losses: dict[str, Tensor] = proposal_losses | head_losses
        return losses

    def _features(self, images: Tensor) -> tuple[dict[str, Tensor], ImageList]:
        """Return the pyramid's maps by name, and the pixels with their sizes.

        The maps are float32 even under autocast: torchvision creates its anchors in their type, and bfloat16 cannot
        represent every pixel position above 256.
        """
        pixels = self._pixels(images)
        maps = {name: values.float() for name, values in self.backbone(pixels).items()}
        return maps, ImageList(pixels, [(self.input_size, self.input_size)] * len(images))

    def own_name(self, name: str) -> str:
        """Return this model's name for a tensor of torchvision's older Faster R-CNN or its classifiers."""
        if re.match(r"(conv1|bn1|layer\d)\.", name):
            return f"backbone.body.{name}"
        if match := re.match(r"features\.(\d+\..+)", name):
            return f"backbone.body.{match[1]}"
        name = re.sub(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$", r"\1.0.\2", name)
        return re.sub(r"^rpn\.head\.conv\.(weight|bias)$", r"rpn.head.conv.0.0.\1", name)

"""What the two-stage families share: torchvision's Faster R-CNN behind the interface of a detector.

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

PROPOSALS = 300  # looked at in an image, as in the paper's experiments (its section 4)
SAMPLES = (
    128  # proposals that teach in an image; 512, as for crowded scenes, costs the CPU four times as much
)


class TwoStageDetector(Detector):
    """torchvision's parts without its resizing: the input has the size that the model works at.

    Each of the K proposals has a box for every class, so A = K * C, and the score of each is nonzero in its
    own class alone. The number of proposals differs by image, so the exported graph takes one at a time.
    """

    any_batch = False

    def __init__(self, model: FasterRCNN, input_size: int) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.rpn = model.rpn
        self.roi_heads = model.roi_heads
        self.input_size = input_size
        self.normalisation = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
        self.postprocess = Postprocess(score_threshold=0.05, nms_iou=0.5)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features, frame = self._features(images)
        heads = self.roi_heads
        with torch.autocast(images.device.type, enabled=False):
            proposals, _ = self.rpn(frame, features)
            pooled = heads.box_roi_pool(features, proposals, frame.image_sizes)
            logits, offsets = heads.box_predictor(heads.box_head(pooled))
            boxes = heads.box_coder.decode(offsets, proposals)[:, 1:] / self.input_size
            scores = logits.softmax(dim=-1)[:, 1:]
        own_class = torch.eye(scores.shape[1], device=scores.device)
        scores = scores[:, :, None] * own_class
        if len(proposals) == 1:  # so the exported graph needs neither splitting nor padding
            return boxes.clamp(0, 1).flatten(0, 1)[None], scores.flatten(0, 1)[None]
        counts = [len(each) for each in proposals]
        boxes, scores = (
            pad_sequence([each.flatten(0, 1) for each in tensor.split(counts)], batch_first=True)
            for tensor in (boxes.clamp(0, 1), scores)
        )
        return boxes, scores

    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        wanted = [{"boxes": each.boxes * self.input_size, "labels": each.classes + 1} for each in targets]
        features, frame = self._features(images)
        with torch.autocast(images.device.type, enabled=False):
            proposals, of_proposals = self.rpn(frame, features, wanted)
            _, of_heads = self.roi_heads(features, proposals, frame.image_sizes, wanted)
        losses: dict[str, Tensor] = of_proposals | of_heads
        return losses

    def _features(self, images: Tensor) -> tuple[dict[str, Tensor], ImageList]:
        """The pyramid's maps by name, and the pixels with their sizes.

        The maps are float32 even under autocast: torchvision makes its anchors in their type, and bfloat16
        holds no pixel position above 256.
        """
        pixels = self._pixels(images)
        maps = {name: each.float() for name, each in self.backbone(pixels).items()}
        return maps, ImageList(pixels, [(self.input_size, self.input_size)] * len(images))

    def own_name(self, name: str) -> str:
        """Also takes torchvision's older Faster R-CNN and its classifiers on ImageNet."""
        if re.match(r"(conv1|bn1|layer\d)\.", name):
            return f"backbone.body.{name}"
        if found := re.match(r"features\.(\d+\..+)", name):
            return f"backbone.body.{found[1]}"
        name = re.sub(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$", r"\1.0.\2", name)
        return re.sub(r"^rpn\.head\.conv\.(weight|bias)$", r"rpn.head.conv.0.0.\1", name)

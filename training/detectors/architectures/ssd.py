"""The base of the single-shot families: anchors, matching, the multi-box loss with its mining, and decoding.

SSD: Liu et al. 2016, https://arxiv.org/abs/1512.02325.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection._utils import BoxCoder, SSDMatcher
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from training.detectors.base import Detector, Target
from training.model.decoding import Postprocess

_NEGATIVES_PER_POSITIVE = 3
# torchvision mines no negatives in an image without boxes, so the model would learn nothing from a good product.
_NEGATIVES_AT_LEAST = 16


class MultiBoxDetector(Detector):
    """torchvision's backbone, head, anchors and matcher, with a loss that also learns from images without objects."""

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        generator: DefaultBoxGenerator,
        input_size: int,
        normalisation: dict[str, list[float]],
    ) -> None:
        """Put the parts together.

        Args:
            backbone: [N, 3, S, S] → a dict of maps, one for each level of `generator`.
            head: The maps → offsets and logits.
            generator: Of the anchors.
            input_size: Side of the square input, in pixels.
            normalisation: Mean and std of pixels / 255.
        """
        super().__init__()
        self.backbone = backbone
        self.head = head
        self._matcher = SSDMatcher(0.5)
        self._coder = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))
        self.input_size = input_size
        self.normalisation = normalisation
        self.postprocess = Postprocess(score_threshold=0.05, nms_iou=0.55)
        self.places = f"anchors of {self.family}"
        blank = torch.zeros(1, 3, input_size, input_size)
        self.eval()
        with torch.no_grad():
            maps = list(self.backbone(blank).values())
            anchors = generator(ImageList(blank, [(input_size, input_size)]), maps)[0]
        self.register_buffer("anchors", anchors / input_size, persistent=False)
        self.train()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        offsets, logits = self._head(images)
        return self._decode(offsets), logits.softmax(dim=-1)[..., 1:]

    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        offsets, logits = self._head(images)
        wanted_classes = torch.zeros(logits.shape[:2], dtype=torch.int64, device=logits.device)
        box_losses = []
        for index, target in enumerate(targets):
            if len(target.boxes) == 0:
                continue
            matched = self._matcher(box_iou(target.boxes, self._anchors))
            positive = torch.where(matched >= 0)[0]
            wanted_classes[index, positive] = target.classes[matched[positive]] + 1
            ideal = self._coder.encode_single(target.boxes[matched[positive]], self._anchors[positive])
            box_losses.append(functional.smooth_l1_loss(offsets[index, positive], ideal, reduction="sum"))
        cross_entropy = functional.cross_entropy(
            logits.flatten(0, 1), wanted_classes.flatten(), reduction="none"
        )
        cross_entropy = cross_entropy.view_as(wanted_classes)
        positives = wanted_classes > 0
        # Hard negative mining: the worst background anchors of each image, a few per positive.
        quota = (_NEGATIVES_PER_POSITIVE * positives.sum(1, keepdim=True)).clamp(min=_NEGATIVES_AT_LEAST)
        rank = cross_entropy.detach().masked_fill(positives, -1.0).argsort(1, descending=True).argsort(1)
        negatives = (rank < quota) & ~positives
        # If few boxes are matched, images without objects must not outweigh the others by their number.
        count = torch.maximum(positives.sum(), negatives.sum() / _NEGATIVES_PER_POSITIVE).clamp(min=1)
        box_loss = torch.stack(box_losses).sum() if box_losses else offsets.sum() * 0
        return {
            "boxes": box_loss / count,
            "classes": (cross_entropy[positives].sum() + cross_entropy[negatives].sum()) / count,
        }

    @property
    def _anchors(self) -> Tensor:
        return self.get_buffer("anchors")

    def _head(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return offsets [N, A, 4] and logits [N, A, C + 1], background first."""
        output = self.head(list(self.backbone(self._pixels(images)).values()))
        return output["bbox_regression"].float(), output["cls_logits"].float()

    def _decode(self, offsets: Tensor) -> Tensor:
        """Invert the coder's encoding, for the whole batch at once: [N, A, 4] → [N, A, 4]."""
        wx, wy, ww, wh = self._coder.weights
        sizes = self._anchors[:, 2:] - self._anchors[:, :2]
        centres = self._anchors[:, :2] + sizes / 2
        scale = offsets.new_tensor([wx, wy])
        growth = (offsets[..., 2:] / offsets.new_tensor([ww, wh])).clamp(max=self._coder.bbox_xform_clip)
        middle = offsets[..., :2] / scale * sizes + centres
        half = growth.exp() * sizes / 2
        return torch.cat([middle - half, middle + half], dim=-1).clamp(0, 1)

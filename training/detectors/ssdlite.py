"""SSDLite on MobileNetV3-Large, from torchvision: small, fast on a CPU, trainable from scratch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from training.decoding import Postprocess
from training.detectors import Detector, Recipe, Target

RECIPE = Recipe(input_size=320, batch_size=16, learning_rate=1.5e-3, weight_decay=0.01, epochs=60)

_NEGATIVES_PER_POSITIVE = 3
_NEGATIVES_AT_LEAST = (
    16  # torchvision mines none in an image without boxes, so clean steel would teach nothing
)
_SMALLEST_INPUT = 128


class SsdLite(Detector):
    """torchvision's backbone, head, anchors and matcher under a loss that also learns from clean images."""

    family = "ssdlite"

    def __init__(self, classes: int, input_size: int) -> None:
        super().__init__()
        if input_size < _SMALLEST_INPUT:
            raise ValueError(f"SSDLite needs an input of at least {_SMALLEST_INPUT} pixels, not {input_size}")
        model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes + 1)
        self.backbone: nn.Module = model.backbone
        self.head: nn.Module = model.head
        self._matcher = model.proposal_matcher
        self._coder = model.box_coder
        self.input_size = input_size
        self.normalisation = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
        self.postprocess = Postprocess(score_threshold=0.05, nms_iou=0.55)
        blank = torch.zeros(1, 3, input_size, input_size)
        self.eval()
        with torch.no_grad():
            maps = list(self.backbone(blank).values())
            anchors = model.anchor_generator(ImageList(blank, [(input_size, input_size)]), maps)[0]
        self.register_buffer("anchors", anchors / input_size, persistent=False)
        self.train()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        offsets, logits = self._head(images)
        return self._decode(offsets), logits.softmax(dim=-1)[..., 1:]

    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        offsets, logits = self._head(images)
        wanted = torch.zeros(logits.shape[:2], dtype=torch.int64, device=logits.device)
        box_losses = []
        for index, target in enumerate(targets):
            if len(target.boxes) == 0:
                continue
            matched = self._matcher(box_iou(target.boxes, self._anchors))
            positive = torch.where(matched >= 0)[0]
            wanted[index, positive] = target.classes[matched[positive]] + 1
            ideal = self._coder.encode_single(target.boxes[matched[positive]], self._anchors[positive])
            box_losses.append(functional.smooth_l1_loss(offsets[index, positive], ideal, reduction="sum"))
        cross_entropy = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
        cross_entropy = cross_entropy.view_as(wanted)
        positives = wanted > 0
        # Hard negative mining: the worst background anchors of each image, a few per positive.
        quota = (_NEGATIVES_PER_POSITIVE * positives.sum(1, keepdim=True)).clamp(min=_NEGATIVES_AT_LEAST)
        rank = cross_entropy.detach().masked_fill(positives, -1.0).argsort(1, descending=True).argsort(1)
        negatives = (rank < quota) & ~positives
        count = positives.sum().clamp(min=1)
        box_loss = torch.stack(box_losses).sum() if box_losses else offsets.sum() * 0
        return {
            "boxes": box_loss / count,
            "classes": (cross_entropy[positives].sum() + cross_entropy[negatives].sum()) / count,
        }

    @property
    def _anchors(self) -> Tensor:
        return self.get_buffer("anchors")

    def _head(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets [N, A, 4] and logits [N, A, C + 1], background first."""
        pixels = images.permute(0, 3, 1, 2).to(self._anchors.dtype) / 127.5 - 1.0  # mean and std of 0.5
        output = self.head(list(self.backbone(pixels).values()))
        return output["bbox_regression"].float(), output["cls_logits"].float()

    def _decode(self, offsets: Tensor) -> Tensor:
        """The inverse of the coder's encoding, for the whole batch at once. [N, A, 4] → [N, A, 4]."""
        wx, wy, ww, wh = self._coder.weights
        sizes = self._anchors[:, 2:] - self._anchors[:, :2]
        centres = self._anchors[:, :2] + sizes / 2
        scale = offsets.new_tensor([wx, wy])
        growth = (offsets[..., 2:] / offsets.new_tensor([ww, wh])).clamp(max=self._coder.bbox_xform_clip)
        middle = offsets[..., :2] / scale * sizes + centres
        half = growth.exp() * sizes / 2
        return torch.cat([middle - half, middle + half], dim=-1).clamp(0, 1)


def build(classes: int, input_size: int) -> SsdLite:
    """A new SSDLite for `classes` labels and a square input of `input_size` pixels (320 is its usual)."""
    return SsdLite(classes, input_size)

"""GFL on EfficientNet-Lite: a score that also rates how well the box fits, and edges as distributions.

Generalized Focal Loss: Li et al. 2020, https://arxiv.org/abs/2006.04388. Which points learn which object depends on
how well the model already detects it there: the task-aligned assignment of TOOD, Feng et al. 2021,
https://arxiv.org/abs/2108.07755.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import box_iou, generalized_box_iou_loss

from training.detectors.architectures.efficientnet_lite import CHANNELS, STRIDES, PyramidDetector
from training.detectors.architectures.views import Views
from training.detectors.base import Target

_CONVOLUTIONS = 2
_GROUPS = 32
_BINS = 17  # an edge is 0 to 16 strides away from its point
# Points for each object, and the powers of score and IoU in their ranking: TOOD, section 3.2.
_CANDIDATES = 13
_SCORE_POWER, _IOU_POWER = 1.0, 6.0
_BOX_WEIGHT, _BINS_WEIGHT = 2.0, 0.5
_PRIOR = 0.01  # probability of an object at a point, at the start: RetinaNet, section 4.1


class _Head(nn.Module):
    """Two towers, shared by all levels; edges are in units of each level's stride."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes_tower, self.edges_tower = _tower(), _tower()
        self.logits = nn.Conv2d(CHANNELS, classes, 3, padding=1)
        self.edges = nn.Conv2d(CHANNELS, 4 * _BINS, 3, padding=1)
        nn.init.normal_(self.logits.weight, std=0.01)
        nn.init.normal_(self.edges.weight, std=0.01)
        nn.init.constant_(self.logits.bias, -math.log((1 - _PRIOR) / _PRIOR))  # type: ignore[arg-type]

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return logits [N, A, C] and the bins of the edges [N, A, 4, _BINS]."""
        logits, edges = [], []
        for level in maps:
            logits.append(self.logits(self.classes_tower(level)).flatten(2).transpose(1, 2))
            edges.append(self.edges(self.edges_tower(level)).flatten(2).transpose(1, 2))
        bins = torch.cat(edges, 1)
        return torch.cat(logits, 1), bins.view(*bins.shape[:2], 4, _BINS)


def _tower() -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(_CONVOLUTIONS):
        convolution = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
        nn.init.normal_(convolution.weight, std=0.01)
        layers += [convolution, nn.GroupNorm(_GROUPS, CHANNELS), nn.ReLU()]
    return nn.Sequential(*layers)


class GflEfficientNetLite(PyramidDetector):
    """One score a class, which is the expected IoU; four distributions a point, whose means are the edges."""

    places = f"middles of the cells of strides {STRIDES}"

    def __init__(self, family: str, body: str, classes: int, input_size: int) -> None:
        super().__init__(family, body, input_size)
        self.head = _Head(classes)
        self.register_buffer("bins", torch.arange(_BINS, dtype=torch.float32), persistent=False)
        self.register_buffer("points", _points(input_size), persistent=False)
        self.use_views(1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        outputs = [self.head(self.backbone(self._pixels(batch))) for batch in self.views.split(images)]
        _, edges = outputs[0]
        boxes = self._boxes(edges) / self.input_size
        return self.views.mean(boxes.clamp(0, 1), [logits.sigmoid() for logits, _ in outputs])

    def use_views(self, views: int) -> None:
        self.views = Views(self.input_size, STRIDES, views)

    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        logits, edges = (output.float() for output in self.head(self.backbone(self._pixels(images))))
        boxes = self._boxes(edges)
        target_scores = torch.zeros_like(logits)
        target_boxes = torch.zeros_like(boxes)
        for index, target in enumerate(targets):
            if len(target.boxes):
                target_scores[index], target_boxes[index] = self._assign(
                    logits[index].detach().sigmoid(), boxes[index].detach(), target
                )
        # Quality focal loss: equations 5 and 6 of GFL; the focus is the square of the score's error.
        focus = (target_scores - logits.sigmoid()).abs().square()
        score_loss = (
            functional.binary_cross_entropy_with_logits(logits, target_scores, reduction="none") * focus
        )
        weight = target_scores.sum(-1)
        total = weight.sum().clamp(min=1)
        positive = weight > 0
        weight, target_boxes = weight[positive], target_boxes[positive]
        box_loss = generalized_box_iou_loss(boxes[positive], target_boxes) * weight
        bin_loss = self._bin_loss(edges[positive], target_boxes, positive) * weight
        return {
            "scores": score_loss.sum() / total,
            "boxes": _BOX_WEIGHT * box_loss.sum() / total,
            "bins": _BINS_WEIGHT * bin_loss.sum() / total,
        }

    def _boxes(self, edges: Tensor) -> Tensor:
        """Return the boxes of edges: [N, A, 4, _BINS] → [N, A, 4] in pixels of the input."""
        points = self.get_buffer("points")
        distances = (edges.softmax(-1) * self.get_buffer("bins")).sum(-1) * points[:, 2:]
        return torch.cat([points[:, :2] - distances[..., :2], points[:, :2] + distances[..., 2:]], -1)

    def _assign(self, scores: Tensor, boxes: Tensor, target: Target) -> tuple[Tensor, Tensor]:
        """Choose the object that each point learns.

        Args:
            scores: [A, C], as the model sees the image now.
            boxes: [A, 4], as the model sees the image now, in pixels of the input.
            target: The labelled objects.

        Returns:
            The score that each point should have for each class, [A, C], and the box that it should have, [A, 4].
            The scores of a point that learns no object are 0.
        """
        points = self.get_buffer("points")
        objects = target.boxes * self.input_size
        centres = points[None, :, :2]
        to_edges = torch.cat([centres - objects[:, None, :2], objects[:, None, 2:] - centres], -1)
        inside = to_edges.amin(-1) > 0
        # An object that contains no point still needs one.
        nearest = (centres - (objects[:, None, :2] + objects[:, None, 2:]) / 2).square().sum(-1).argmin(1)
        inside[torch.arange(len(objects), device=inside.device), nearest] = True
        overlap = box_iou(objects, boxes) * inside
        aligned = scores[:, target.classes].T.pow(_SCORE_POWER) * overlap.pow(_IOU_POWER)
        aligned = torch.where(inside, aligned + 1e-9, torch.zeros_like(aligned))
        chosen = torch.zeros_like(inside)
        best = aligned.topk(min(_CANDIDATES, aligned.shape[1]), dim=1).indices
        chosen.scatter_(1, best, True)
        chosen &= inside
        # A point learns one object: the one that its box covers best.
        owner = torch.where(chosen, overlap, -1.0).argmax(0)
        owned = functional.one_hot(owner, len(objects)).T.bool() & chosen
        aligned, overlap = aligned * owned, overlap * owned
        quality = aligned / aligned.amax(1, keepdim=True).clamp(min=1e-12) * overlap.amax(1, keepdim=True)
        positive = owned.any(0)
        target_scores = torch.zeros_like(scores)
        target_scores[positive, target.classes[owner[positive]]] = quality.amax(0)[positive]
        return target_scores, objects[owner]

    def _bin_loss(self, edges: Tensor, boxes: Tensor, positive: Tensor) -> Tensor:
        """Return the distribution focal loss [P], equation 8 of GFL: the two bins around the true distance share it."""
        points = self.get_buffer("points").expand(len(positive), -1, -1)[positive]
        distances = torch.cat([points[:, :2] - boxes[:, :2], boxes[:, 2:] - points[:, :2]], -1)
        distances = (distances / points[:, 2:]).clamp(0, _BINS - 1.01)
        low = distances.long()
        share = distances - low
        logs = edges.log_softmax(-1)
        below, above = (logs.gather(-1, bins[..., None])[..., 0] for bins in (low, low + 1))
        return -(below * (1 - share) + above * share).mean(-1)


def _points(input_size: int) -> Tensor:
    """Return x and y of every point in pixels of the input, and the stride of its level: [A, 3]."""
    levels = []
    for stride in STRIDES:
        cells = math.ceil(input_size / stride)
        middle = (torch.arange(cells, dtype=torch.float32) + 0.5) * stride
        y, x = torch.meshgrid(middle, middle, indexing="ij")
        levels.append(torch.stack([x, y, torch.full_like(x, stride)], -1))
    return torch.cat([level.flatten(0, 1) for level in levels])

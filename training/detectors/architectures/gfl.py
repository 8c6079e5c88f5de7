"""GFL on EfficientNet-Lite: a score that says how well the box fits, and edges as distributions.

Generalized Focal Loss: Li et al. 2020, https://arxiv.org/abs/2006.04388. Which points learn which object is
decided by how well the model already does there: the task-aligned assignment of TOOD, Feng et al. 2021,
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
_BINS = 17  # an edge lies 0 to 16 strides from its point
_CANDIDATES = 13  # points an object, and the powers of score and IoU in their ranking: TOOD, section 3.2
_SCORE_POWER, _IOU_POWER = 1.0, 6.0
_BOX_WEIGHT, _BINS_WEIGHT = 2.0, 0.5
_PRIOR = 0.01  # of an object at a point, at the start: RetinaNet, section 4.1


class _Head(nn.Module):
    """Two towers, the same on every level; the edges' scale is each level's own."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes_tower, self.edges_tower = _tower(), _tower()
        self.logits = nn.Conv2d(CHANNELS, classes, 3, padding=1)
        self.edges = nn.Conv2d(CHANNELS, 4 * _BINS, 3, padding=1)
        nn.init.normal_(self.logits.weight, std=0.01)
        nn.init.normal_(self.edges.weight, std=0.01)
        nn.init.constant_(self.logits.bias, -math.log((1 - _PRIOR) / _PRIOR))  # type: ignore[arg-type]

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits [N, A, C] and the edges' bins [N, A, 4, _BINS]."""
        logits, edges = [], []
        for each in maps:
            logits.append(self.logits(self.classes_tower(each)).flatten(2).transpose(1, 2))
            edges.append(self.edges(self.edges_tower(each)).flatten(2).transpose(1, 2))
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
        found = [self.head(self.backbone(self._pixels(each))) for each in self.views.of(images)]
        boxes = self._boxes(found[0][1]) / self.input_size
        return self.views.mean(boxes.clamp(0, 1), [logits.sigmoid() for logits, _ in found])

    def use_views(self, views: int) -> None:
        self.views = Views(self.input_size, STRIDES, views)

    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        logits, edges = (each.float() for each in self.head(self.backbone(self._pixels(images))))
        boxes = self._boxes(edges)
        wanted = torch.zeros_like(logits)
        objects = torch.zeros_like(boxes)
        for index, target in enumerate(targets):
            if len(target.boxes):
                wanted[index], objects[index] = self._assign(
                    logits[index].detach().sigmoid(), boxes[index].detach(), target
                )
        # Quality focal loss: equations 5 and 6 of GFL, the focus being the square of what is missing.
        focus = (wanted - logits.sigmoid()).abs().square()
        scores = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * focus
        weight = wanted.sum(-1)
        total = weight.sum().clamp(min=1)
        positive = weight > 0
        weight, aim = weight[positive], objects[positive]
        fit = generalized_box_iou_loss(boxes[positive], aim) * weight
        sharp = self._focus_of_bins(edges[positive], aim, positive) * weight
        return {
            "scores": scores.sum() / total,
            "boxes": _BOX_WEIGHT * fit.sum() / total,
            "bins": _BINS_WEIGHT * sharp.sum() / total,
        }

    def _boxes(self, edges: Tensor) -> Tensor:
        """[N, A, 4, _BINS] → [N, A, 4] in pixels of the input."""
        points = self.get_buffer("points")
        distances = (edges.softmax(-1) * self.get_buffer("bins")).sum(-1) * points[:, 2:]
        return torch.cat([points[:, :2] - distances[..., :2], points[:, :2] + distances[..., 2:]], -1)

    def _assign(self, scores: Tensor, boxes: Tensor, target: Target) -> tuple[Tensor, Tensor]:
        """Which object each point learns: the scores it should have [A, C], and the box [A, 4]; 0 for none."""
        points = self.get_buffer("points")
        objects = target.boxes * self.input_size
        centres = points[None, :, :2]
        to_edges = torch.cat([centres - objects[:, None, :2], objects[:, None, 2:] - centres], -1)
        inside = to_edges.amin(-1) > 0
        # An object between all points still needs one to learn from.
        nearest = (centres - (objects[:, None, :2] + objects[:, None, 2:]) / 2).square().sum(-1).argmin(1)
        inside[torch.arange(len(objects), device=inside.device), nearest] = True
        overlap = box_iou(objects, boxes) * inside
        aligned = scores[:, target.classes].T.pow(_SCORE_POWER) * overlap.pow(_IOU_POWER)
        aligned = torch.where(inside, aligned + 1e-9, torch.zeros_like(aligned))
        chosen = torch.zeros_like(inside)
        best = aligned.topk(min(_CANDIDATES, aligned.shape[1]), dim=1).indices
        chosen.scatter_(1, best, True)
        chosen &= inside
        # A point learns one object: the one that it covers best.
        owner = torch.where(chosen, overlap, -1.0).argmax(0)
        mine = functional.one_hot(owner, len(objects)).T.bool() & chosen
        aligned, overlap = aligned * mine, overlap * mine
        quality = aligned / aligned.amax(1, keepdim=True).clamp(min=1e-12) * overlap.amax(1, keepdim=True)
        taken = mine.any(0)
        wanted = torch.zeros_like(scores)
        wanted[taken, target.classes[owner[taken]]] = quality.amax(0)[taken]
        return wanted, objects[owner]

    def _focus_of_bins(self, edges: Tensor, boxes: Tensor, positive: Tensor) -> Tensor:
        """Distribution focal loss [P]: the two bins about the true distance share it. Equation 8 of GFL."""
        points = self.get_buffer("points").expand(len(positive), -1, -1)[positive]
        distances = torch.cat([points[:, :2] - boxes[:, :2], boxes[:, 2:] - points[:, :2]], -1)
        distances = (distances / points[:, 2:]).clamp(0, _BINS - 1.01)
        low = distances.long()
        share = distances - low
        logs = edges.log_softmax(-1)
        below, above = (logs.gather(-1, bins[..., None])[..., 0] for bins in (low, low + 1))
        return -(below * (1 - share) + above * share).mean(-1)


def _points(input_size: int) -> Tensor:
    """[A, 3]: x and y of every point in pixels of the input, and its level's stride."""
    levels = []
    for stride in STRIDES:
        cells = math.ceil(input_size / stride)
        middle = (torch.arange(cells, dtype=torch.float32) + 0.5) * stride
        y, x = torch.meshgrid(middle, middle, indexing="ij")
        levels.append(torch.stack([x, y, torch.full_like(x, stride)], -1))
    return torch.cat([each.flatten(0, 1) for each in levels])

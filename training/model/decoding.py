"""From a detector's raw output to detections: one implementation for train, evaluate and serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from training.model.pixels import to_original

Floats = NDArray[np.float32]
# Fixed, so that evaluation, which keeps weaker boxes than the endpoint, has the same voters.
_VOTERS_SCORE = 0.05
Edges = TypeVar("Edges", np.float32, np.float64)


@dataclass(frozen=True, slots=True)
class Postprocess:
    """How a family's raw output becomes detections; kept in model.json.

    score_threshold: candidates below it are dropped.
    nms_iou: of two boxes of one class that overlap more, the weaker goes; None for families without NMS.
    voting: a box that stays becomes the mean of all around it, weighed by score and by
        exp(-(1 - IoU)² / voting), those below _VOTERS_SCORE left out: variance voting without the variances
        (He et al. 2019, https://arxiv.org/abs/1809.08545); None: it stays as it is.
    candidates: the best so many of each class are looked at.
    detections: at most so many are returned.
    """

    score_threshold: float = 0.05
    nms_iou: float | None = 0.55
    candidates: int = 300
    detections: int = 100
    voting: float | None = None


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes [N, 4] as (x1, y1, x2, y2) in 0..1, scores [N], classes [N] from 0; best first."""

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]


def detections(boxes: Floats, scores: Floats, how: Postprocess) -> Detections:
    """The detections of one image.

    boxes: [A, 4] in 0..1; scores: [A, C] in 0..1, background left out.

    >>> boxes = np.array([[0, 0, 1, 1], [0, 0, 0.9, 1]], dtype=np.float32)
    >>> detections(boxes, np.array([[0.9], [0.8]], dtype=np.float32), Postprocess()).scores.tolist()
    [0.8999999761581421]
    """
    least = how.score_threshold if how.voting is None else min(how.score_threshold, _VOTERS_SCORE)
    anchors, classes = np.nonzero(scores > least)
    found, places = scores[anchors, classes], boxes[anchors]
    kept: list[NDArray[np.int64]] = []
    for each in np.unique(classes):
        members = np.flatnonzero(classes == each)
        members = members[_best_first(found[members])[: how.candidates]]
        if how.nms_iou is not None:
            overlaps = iou(places[members], places[members])
            best = _nms(overlaps, how.nms_iou)
            if how.voting is not None:
                places[members] = _voted(places[members], found[members], overlaps, best, how.voting)
            members = members[best]
        kept.append(members[found[members] > how.score_threshold])
    chosen = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    chosen = chosen[_best_first(found[chosen])[: how.detections]]
    return Detections(np.clip(places[chosen], 0, 1), found[chosen], classes[chosen])


def moved(found: Detections, offset: tuple[float, float], width: int, height: int) -> Detections:
    """`found`, its boxes moved by `offset` pixels of a picture of this size; edges at its border stay there.

    >>> found = Detections(np.array([[0.5, 0.5, 0.9, 1]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    >>> moved(found, (-1, -1), width=10, height=10).boxes.round(2).tolist()
    [[0.4000000059604645, 0.4000000059604645, 0.800000011920929, 1.0]]
    """
    if not any(offset):
        return found
    step = np.array([*offset, *offset], np.float32) / np.array([width, height] * 2, np.float32)
    least = np.abs(step)
    at_border = (found.boxes < least) | (found.boxes > 1 - least)
    return replace(found, boxes=np.where(at_border, found.boxes, found.boxes + step))


def named(found: Detections, labels: Sequence[str], width: int, height: int) -> list[dict[str, Any]]:
    """Detections as the endpoint's contract has them, in pixels of an upright image of this size."""
    boxes = to_original(found.boxes, width, height).tolist()
    return [
        {"label": labels[which], "score": round(score, 4), "box": [round(edge, 2) for edge in box]}
        for which, score, box in zip(found.classes.tolist(), found.scores.tolist(), boxes, strict=True)
    ]


def iou(a: NDArray[Edges], b: NDArray[Edges]) -> NDArray[Edges]:
    """Intersection over union of boxes [N, 4] and [M, 4]: [N, M]."""
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    sizes = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - corner, 0, None)
    shared = sizes[..., 0] * sizes[..., 1]
    union = _area(a)[:, None] + _area(b)[None, :] - shared
    result: NDArray[Edges] = shared / np.maximum(union, np.float32(1e-9))
    return result


def _best_first(scores: Floats) -> NDArray[np.int64]:
    """Indices by falling score. Scores are rounded, so that ties fall alike on every machine and runtime."""
    return np.argsort(-np.round(scores, 4), kind="stable")


def _area(boxes: NDArray[Edges]) -> NDArray[Edges]:
    area: NDArray[Edges] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area


def _nms(overlaps: Floats, limit: float) -> NDArray[np.int64]:
    """Greedy suppression by the IoU [N, N] of boxes, best first; the indices kept."""
    over = overlaps > limit
    alive = np.ones(len(over), dtype=bool)
    kept = []
    for index in range(len(over)):
        if alive[index]:
            kept.append(index)
            alive &= ~over[index]
    return np.array(kept, dtype=np.int64)


def _voted(boxes: Floats, scores: Floats, overlaps: Floats, best: NDArray[np.int64], voting: float) -> Floats:
    """Boxes [N, 4], the `best` of them at the mean of their voters; Postprocess says by which weights."""
    # None but voters are summed: more zeros would round the sums otherwise.
    voters = np.flatnonzero(scores > _VOTERS_SCORE)
    sure = np.intersect1d(best, voters)
    votes = scores[voters] * np.exp(-np.square(1 - overlaps[np.ix_(sure, voters)]) / np.float32(voting))
    result = boxes.copy()
    result[sure] = votes @ boxes[voters] / votes.sum(1, keepdims=True)
    return result

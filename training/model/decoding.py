"""From a detector's raw output to detections: one implementation for train, evaluate and serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from training.model.pixels import to_original

Floats = NDArray[np.float32]
# Fixed, so that the same boxes vote in the evaluation, which keeps weaker boxes than the endpoint.
_MIN_VOTER_SCORE = 0.05
Coordinate = TypeVar("Coordinate", np.float32, np.float64)


@dataclass(frozen=True, slots=True)
class Postprocess:
    """How a family's raw output becomes detections. model.json keeps it.

    Attributes:
        score_threshold: Candidates at or below it are dropped.
        nms_iou: Of two boxes of one class that overlap more, the weaker is suppressed; None for families without NMS.
        candidates: Only this many candidates of each class are considered, best first.
        detections: The most detections to return.
        voting: A box that is kept becomes the mean of all boxes around it, weighted by score and by
            exp(-(1 - IoU)² / voting); boxes below _MIN_VOTER_SCORE do not vote. This is variance voting without the
            variances (He et al. 2019, https://arxiv.org/abs/1809.08545). None: it stays as it is.
    """

    score_threshold: float = 0.05
    nms_iou: float | None = 0.55
    candidates: int = 300
    detections: int = 100
    voting: float | None = None


@dataclass(frozen=True, slots=True)
class Detections:
    """The detections of one image, best first.

    Attributes:
        boxes: [N, 4] as (x1, y1, x2, y2) in 0..1.
        scores: [N].
        classes: [N] from 0.
    """

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]


def detections(boxes: Floats, scores: Floats, postprocess: Postprocess) -> Detections:
    """Return the detections of one image.

    Args:
        boxes: [A, 4] in 0..1.
        scores: [A, C] in 0..1, without the background.
        postprocess: The family's settings.

    Raises:
        ValueError: A box that counts is no numbers.

    >>> boxes = np.array([[0, 0, 1, 1], [0, 0, 0.9, 1]], dtype=np.float32)
    >>> detections(boxes, np.array([[0.9], [0.8]], dtype=np.float32), Postprocess()).scores.tolist()
    [0.8999999761581421]
    """
    threshold = postprocess.score_threshold
    floor = threshold if postprocess.voting is None else min(threshold, _MIN_VOTER_SCORE)
    anchors, classes = np.nonzero(scores > floor)
    scores, boxes = scores[anchors, classes], boxes[anchors]
    if not np.isfinite(boxes).all():
        raise ValueError("a box has no place")
    kept: list[NDArray[np.int64]] = []
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        members = members[_best_first(scores[members])[: postprocess.candidates]]
        if postprocess.nms_iou is not None:
            overlaps = iou(boxes[members], boxes[members])
            survivors = _nms(overlaps, postprocess.nms_iou)
            if postprocess.voting is not None:
                boxes[members] = _vote(
                    boxes[members], scores[members], overlaps, survivors, postprocess.voting
                )
            members = members[survivors]
        kept.append(members[scores[members] > threshold])
    chosen = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    chosen = chosen[_best_first(scores[chosen])[: postprocess.detections]]
    return Detections(np.clip(boxes[chosen], 0, 1), scores[chosen], classes[chosen])


def shift_boxes(detections: Detections, offset: tuple[float, float], width: int, height: int) -> Detections:
    """Return `detections` with every box shifted. Edges at the picture's border stay there.

    Args:
        detections: Of a picture of this size.
        offset: Pixels to the right and down.
        width: The picture's, in pixels.
        height: As width.

    >>> box = Detections(np.array([[0.5, 0.5, 0.9, 1]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    >>> shift_boxes(box, (-1, -1), width=10, height=10).boxes.round(2).tolist()
    [[0.4000000059604645, 0.4000000059604645, 0.800000011920929, 1.0]]
    """
    if not any(offset):
        return detections
    step = np.array([*offset, *offset], np.float32) / np.array([width, height] * 2, np.float32)
    border = np.abs(step)
    at_border = (detections.boxes < border) | (detections.boxes > 1 - border)
    return replace(detections, boxes=np.where(at_border, detections.boxes, detections.boxes + step))


def to_json(detections: Detections, labels: Sequence[str], width: int, height: int) -> list[dict[str, Any]]:
    """Return detections in the form of the endpoint's answer, boxes in pixels of an upright image of this size."""
    boxes = to_original(detections.boxes, width, height).tolist()
    return [
        {"label": labels[label], "score": round(score, 4), "box": [round(edge, 2) for edge in box]}
        for label, score, box in zip(
            detections.classes.tolist(), detections.scores.tolist(), boxes, strict=True
        )
    ]


def iou(a: NDArray[Coordinate], b: NDArray[Coordinate]) -> NDArray[Coordinate]:
    """Return the intersection over union of boxes [N, 4] and [M, 4]: [N, M]."""
    # Both directions apart: numpy is three times as fast along long rows as along pairs.
    shared: NDArray[Coordinate] = _shared(a[:, 0::2], b[:, 0::2]) * _shared(a[:, 1::2], b[:, 1::2])
    union = _area(a)[:, None] + _area(b)[None, :] - shared
    result: NDArray[Coordinate] = shared / np.maximum(union, np.float32(1e-9))
    return result


def _shared(a: NDArray[Coordinate], b: NDArray[Coordinate]) -> NDArray[Coordinate]:
    """Return how much the spans [N, 2] and [M, 2] have in common: [N, M]."""
    (start, end), (other_start, other_end) = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    first, last = np.maximum(start[:, None], other_start), np.minimum(end[:, None], other_end)
    length: NDArray[Coordinate] = np.maximum(last - first, 0)
    return length


def _best_first(scores: Floats) -> NDArray[np.int64]:
    """Indices by falling score. Scores are rounded, so that ties fall alike on every machine and runtime."""
    return np.argsort(-np.round(scores, 4), kind="stable")


def _area(boxes: NDArray[Coordinate]) -> NDArray[Coordinate]:
    area: NDArray[Coordinate] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area


def _nms(overlaps: Floats, limit: float) -> NDArray[np.int64]:
    """Greedy non-maximum suppression.

    Args:
        overlaps: [N, N] IoU of the boxes, best first.
        limit: Boxes that overlap a better one by more are suppressed.

    Returns:
        The indices of the boxes that are kept.
    """
    too_close = overlaps > limit
    alive = np.ones(len(too_close), dtype=bool)
    kept = []
    for index in range(len(too_close)):
        if alive[index]:
            kept.append(index)
            alive &= ~too_close[index]
    return np.array(kept, dtype=np.int64)


def _vote(
    boxes: Floats, scores: Floats, overlaps: Floats, survivors: NDArray[np.int64], voting: float
) -> Floats:
    """Return boxes [N, 4], the `survivors` of them moved to the mean of their voters; see Postprocess.voting."""
    # Only voters are summed: the zeros of the others would change how the sums round.
    voters = np.flatnonzero(scores > _MIN_VOTER_SCORE)
    moved = np.intersect1d(survivors, voters)
    votes = scores[voters] * np.exp(-np.square(1 - overlaps[np.ix_(moved, voters)]) / np.float32(voting))
    result = boxes.copy()
    result[moved] = votes @ boxes[voters] / votes.sum(1, keepdims=True)
    return result

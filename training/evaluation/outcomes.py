"""What happened to each object and each detection at the operating points: the confusion matrix and the worst images.

The kinds of error follow Bolya et al., TIDE (ECCV 2020), section 2: an overlap of at least 0.5 is a match, and one
between 0.1 and 0.5 is a badly placed box rather than a false alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.datasets import Sample
from training.evaluation.metrics import Counts, Floats, ImageDetections
from training.model.decoding import iou

MATCH_IOU, NEAR_IOU = 0.5, 0.1
Kind = Literal["right", "wrong class", "badly placed", "missed", "false alarm", "duplicate"]
# How bad a detection is, as a share of its score.
_WEIGHTS: dict[Kind, float] = {
    "right": 0.0,
    "duplicate": 0.1,
    "badly placed": 0.5,
    "false alarm": 1.0,
    "wrong class": 1.0,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one object, one detection, or a matched pair of both.

    Attributes:
        kind: What happened.
        object: Index into the sample's objects; None without an object.
        detection: Index into the image's detections; None without a detection.
        truth: The object's class, as an index into the data set's labels.
        found: The detection's class, as an index into the data set's labels.
        score: Of the detection.
        overlap: IoU of the two.
    """

    kind: Kind
    object: int | None = None
    detection: int | None = None
    truth: int | None = None
    found: int | None = None
    score: float = 0.0
    overlap: float = 0.0


@dataclass(frozen=True, slots=True)
class _Overlaps:
    """The objects O and the detections D of one image.

    Attributes:
        truth: [O] the objects' classes.
        detections: Of the image.
        iou: [O, D].
        same_class: [O, D].
    """

    truth: NDArray[np.int64]
    detections: ImageDetections
    iou: NDArray[np.float32]
    same_class: NDArray[np.bool_]

    def outcome(self, kind: Kind, obj: int | None, detection: int | None) -> Outcome:
        return Outcome(
            kind,
            obj,
            detection,
            truth=None if obj is None else int(self.truth[obj]),
            found=None if detection is None else int(self.detections.classes[detection]),
            score=0.0 if detection is None else float(self.detections.scores[detection]),
            overlap=0.0 if obj is None or detection is None else float(self.iou[obj, detection]),
        )


def at_thresholds(detections: ImageDetections, thresholds: Floats) -> ImageDetections:
    """Return the detections that reach the threshold of their class, of thresholds [C]."""
    kept = detections.scores >= thresholds[detections.classes]
    return ImageDetections(detections.boxes[kept], detections.scores[kept], detections.classes[kept])


def outcomes(sample: Sample, detections: ImageDetections, labels: Sequence[str]) -> list[Outcome]:
    """Return every object and every detection, each in exactly one outcome.

    Args:
        sample: Its objects are the truth.
        detections: Those that reach their operating points.
        labels: The data set's classes.
    """
    overlaps = _overlaps(sample, detections, labels)
    matched = _matched(overlaps)
    free_objects = set(range(len(overlaps.truth))) - {pair.object for pair in matched}
    free_detections = set(range(len(detections.scores))) - {pair.detection for pair in matched}
    unmatched = []
    for detection in sorted(free_detections):
        outcome = _unmatched(overlaps, detection, free_objects)
        unmatched.append(outcome)
        if outcome.object is not None:
            free_objects.remove(outcome.object)
    missed = [overlaps.outcome("missed", obj, None) for obj in sorted(free_objects)]
    return [*matched, *unmatched, *missed]


def _overlaps(sample: Sample, detections: ImageDetections, labels: Sequence[str]) -> _Overlaps:
    truth = np.array([labels.index(labelled.label) for labelled in sample.objects], np.int64)
    boxes = np.array([labelled.box for labelled in sample.objects], np.float32).reshape(-1, 4)
    same_class: NDArray[np.bool_] = np.equal.outer(truth, detections.classes)
    return _Overlaps(truth, detections, iou(boxes, detections.boxes), same_class)


def _matched(overlaps: _Overlaps) -> list[Outcome]:
    """Pairs that overlap by MATCH_IOU, one to one: of the same class first, then by overlap."""
    pairs = sorted(
        zip(*np.nonzero(overlaps.iou >= MATCH_IOU), strict=True),
        key=lambda pair: (not overlaps.same_class[pair], -overlaps.iou[pair]),
    )
    objects: set[int] = set()
    detections: set[int] = set()
    matched = []
    for obj, detection in ((int(obj), int(detection)) for obj, detection in pairs):
        if obj not in objects and detection not in detections:
            kind: Kind = "right" if overlaps.same_class[obj, detection] else "wrong class"
            matched.append(overlaps.outcome(kind, obj, detection))
            objects.add(obj)
            detections.add(detection)
    return matched


def _unmatched(overlaps: _Overlaps, detection: int, free_objects: set[int]) -> Outcome:
    """A detection without a match, by the object of its class that it overlaps most."""
    near = np.where(overlaps.same_class[:, detection], overlaps.iou[:, detection], 0)
    nearest = int(near.argmax()) if near.size else None
    if nearest is not None and near[nearest] >= MATCH_IOU:
        return overlaps.outcome("duplicate", None, detection)
    if nearest in free_objects and near[nearest] >= NEAR_IOU:
        return overlaps.outcome("badly placed", nearest, detection)
    return overlaps.outcome("false alarm", None, detection)


def confusion(images: Sequence[Sequence[Outcome]], classes: int) -> Counts:
    """Return the confusion matrix [C + 1, C + 1]: true classes by detected classes; the last of each is background."""
    counts = np.zeros((classes + 1, classes + 1), np.int64)
    for outcome in (outcome for image in images for outcome in image):
        if outcome.kind in ("right", "wrong class"):
            counts[outcome.truth, outcome.found] += 1
            continue
        if outcome.truth is not None:
            counts[outcome.truth, classes] += 1
        if outcome.found is not None:
            counts[classes, outcome.found] += 1
    return counts


def badness(image: Sequence[Outcome]) -> float:
    """Return how bad an image's outcomes are: 1 for a missed object, up to its score for a wrong detection."""
    return sum(
        1.0 if outcome.kind == "missed" else _WEIGHTS[outcome.kind] * outcome.score for outcome in image
    )


def worst(images: Sequence[Sequence[Outcome]], limit: int) -> list[int]:
    """Return the indices of the worst images, at most `limit`, taken in turn from each kind and class of error.

    In turn, because otherwise the worst class would fill the page.
    """
    groups: dict[tuple[Kind, int | None], list[int]] = {}
    for index in sorted(range(len(images)), key=lambda index: -badness(images[index])):
        errors = [outcome for outcome in images[index] if outcome.kind not in ("right", "duplicate")]
        if errors:
            chief = max(errors, key=lambda outcome: badness([outcome]))
            key = (chief.kind, chief.truth if chief.truth is not None else chief.found)
            groups.setdefault(key, []).append(index)
    chosen: list[int] = []
    while groups and len(chosen) < limit:
        for key in list(groups):
            chosen.append(groups[key].pop(0))
            if not groups[key]:
                del groups[key]
    return chosen[:limit]

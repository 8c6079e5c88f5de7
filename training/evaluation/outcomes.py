"""What went right and wrong in each image, at the operating points: the confusion matrix and its examples.

The kinds of error follow Bolya et al., TIDE (ECCV 2020), section 2: an overlap of 0.5 is a match, and one
between 0.1 and 0.5 is a box in the wrong place rather than a false alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.datasets import Sample
from training.evaluation.metrics import Counts, Floats, Placed
from training.model.decoding import iou

MATCH, NEAR = 0.5, 0.1
Kind = Literal["right", "wrong class", "badly placed", "missed", "false alarm", "duplicate"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One object, one detection, or both matched; indices into the sample's objects and its detections.

    truth, found: the columns of their classes in the data set's labels; overlap: the IoU of the two.
    """

    kind: Kind
    object: int | None = None
    detection: int | None = None
    truth: int | None = None
    found: int | None = None
    score: float = 0.0
    overlap: float = 0.0


def at_points(placed: Placed, thresholds: Floats) -> Placed:
    """The detections that reach their class's threshold [C]."""
    kept = placed.scores >= thresholds[placed.classes]
    return Placed(placed.boxes[kept], placed.scores[kept], placed.classes[kept])


def outcomes(sample: Sample, placed: Placed, labels: Sequence[str]) -> list[Outcome]:
    """Every object and every detection of `placed`, each in exactly one outcome.

    Pairs that overlap by 0.5 are made one to one: of the same class first, then by overlap.
    """
    truth = np.array([labels.index(each.label) for each in sample.objects], np.int64)
    boxes = np.array([each.box for each in sample.objects], np.float32).reshape(-1, 4)
    overlaps = iou(boxes, placed.boxes)
    same = truth[:, None] == placed.classes[None, :]
    pairs = sorted(
        zip(*np.nonzero(overlaps >= MATCH), strict=True),
        key=lambda pair: (not same[pair], -overlaps[pair]),
    )
    free, unused = set(range(len(truth))), set(range(len(placed.scores)))
    result: list[Outcome] = []

    def add(kind: Kind, o: int | None, d: int | None) -> None:
        result.append(
            Outcome(
                kind,
                o,
                d,
                None if o is None else int(truth[o]),
                None if d is None else int(placed.classes[d]),
                0.0 if d is None else float(placed.scores[d]),
                0.0 if o is None or d is None else float(overlaps[o, d]),
            )
        )

    for o, d in ((int(o), int(d)) for o, d in pairs):
        if o in free and d in unused:
            add("right" if same[o, d] else "wrong class", o, d)
            free.remove(o)
            unused.remove(d)
    for d in sorted(unused):
        near = np.where(same[:, d], overlaps[:, d], 0)
        best = int(near.argmax()) if near.size else 0
        if near.size and near[best] >= MATCH:
            add("duplicate", None, d)
        elif near.size and near[best] >= NEAR and best in free:
            add("badly placed", best, d)
            free.remove(best)
        else:
            add("false alarm", None, d)
    for o in sorted(free):
        add("missed", o, None)
    return result


def confusion(each: Sequence[Sequence[Outcome]], classes: int) -> Counts:
    """[C + 1, C + 1] counts: rows are what was there, columns what was found, the last of each is background."""
    counts = np.zeros((classes + 1, classes + 1), np.int64)
    for outcome in (outcome for image in each for outcome in image):
        if outcome.kind in ("right", "wrong class"):
            counts[outcome.truth, outcome.found] += 1
            continue
        if outcome.truth is not None:
            counts[outcome.truth, classes] += 1
        if outcome.found is not None:
            counts[classes, outcome.found] += 1
    return counts


def badness(image: Sequence[Outcome]) -> float:
    """How bad an image's outcomes are: a missed object weighs 1, a detection that is wrong its score."""
    weight = {"right": 0.0, "duplicate": 0.1, "badly placed": 0.5, "false alarm": 1.0, "wrong class": 1.0}
    return sum(1.0 if each.kind == "missed" else weight[each.kind] * each.score for each in image)


def worst(each: Sequence[Sequence[Outcome]], most: int) -> list[int]:
    """The indices of the worst images, at most `most`, taken in turn from each kind and class of error.

    In turn, since the worst class alone would fill the page otherwise.
    """
    groups: dict[tuple[Kind, int | None], list[int]] = {}
    for index in sorted(range(len(each)), key=lambda i: -badness(each[i])):
        errors = [outcome for outcome in each[index] if outcome.kind not in ("right", "duplicate")]
        if errors:
            chief = max(errors, key=lambda outcome: badness([outcome]))
            key = (chief.kind, chief.truth if chief.truth is not None else chief.found)
            groups.setdefault(key, []).append(index)
    chosen: list[int] = []
    while groups and len(chosen) < most:
        for key in list(groups):
            chosen.append(groups[key].pop(0))
            if not groups[key]:
                del groups[key]
    return chosen[:most]

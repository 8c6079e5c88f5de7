"""At which score to act: what each threshold lets escape, and what it fails for nothing.

All of it is about whole images, as a verdict is. For a class c and a threshold t:

- escape rate: of the images that hold a defect of class c, the share in which no detection of class c
  reaches t. The detection need not lie on the defect: the product is stopped all the same.
- overkill rate: of the good images (no object, and no tag such as "anomaly"), the share in which a detection
  of class c reaches t. None for a data set without good images.
- false alarm rate: of the images without a defect of class c, good or not, the share in which a detection of
  class c reaches t. None where every image holds class c. Images tagged as defective without a box are left
  out: nobody knows of which class they are.

Only detections that would be served count: those above the score at which the artefact itself cuts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.scores import FAIL_SCORE, REVIEW_SCORE
from training.datasets import Dataset
from training.evaluation.bootstrap import interval, rate
from training.evaluation.metrics import (
    Counts,
    Floats,
    Matches,
    Placed,
    best_point,
    round_down,
    rounded,
    steps,
)
from training.model.decoding import Detections, Postprocess

Flags = NDArray[np.bool_]
_GOOD_TAG = "normal"  # what Lookout for Vision calls a good product
SWEEP = np.round(np.linspace(0.0, 1.0, 101), 2)


def served(found: Detections, how: Postprocess) -> Detections:
    """The detections that the endpoint would return, of those found for the metrics, which cut later."""
    kept = np.flatnonzero(found.scores > how.score_threshold)[: how.detections]
    return Detections(found.boxes[kept], found.scores[kept], found.classes[kept])


@dataclass(frozen=True)
class Images:
    """What a verdict sees of N images and C classes.

    top: [N, C] the best score of each class, 0 where nothing was found; holds: [N, C] whether it is there.
    good: [N] without any defect; vague: [N] known to be defective, but no box says by what.
    """

    labels: tuple[str, ...]
    top: Floats
    holds: Flags
    good: Flags
    vague: Flags


def images(dataset: Dataset, placed: Sequence[Placed]) -> Images:
    """`placed`: what would be served, one per sample."""
    shape = (len(dataset.samples), len(dataset.labels))
    top, holds = np.zeros(shape), np.zeros(shape, np.bool_)
    for index, (sample, each) in enumerate(zip(dataset.samples, placed, strict=True)):
        np.maximum.at(top[index], each.classes, round_down(each.scores))
        for found in sample.objects:
            holds[index, dataset.labels.index(found.label)] = True
    empty = ~np.any(holds, axis=1)
    vague = empty & np.array([bool(set(sample.tags) - {_GOOD_TAG}) for sample in dataset.samples])
    return Images(dataset.labels, top, holds, empty & ~vague, vague)


def escape_threshold(top: Floats, wanted: float) -> float | None:
    """The highest threshold at which at most a share `wanted` of the images escapes; None if there is none.

    top: [n] the best score of the class in each image that holds it.

    >>> escape_threshold(np.array([0.9, 0.2, 0.7, 0.8]), 0.25)
    0.7
    """
    threshold = float(_thresholds(np.sort(top), np.ones((1, len(top)), np.int64), wanted)[0])
    return threshold or None


def _thresholds(rising: Floats, weights: Counts, wanted: float) -> Floats:
    """The escape threshold [resamples] for scores [n] in rising order, drawn as weights [resamples, n] say."""
    drawn = np.cumsum(weights, axis=1)
    allowed = np.floor(wanted * drawn[:, -1] + 1e-9)
    result: Floats = rising[(drawn > allowed[:, None]).argmax(axis=1)]
    return result


def operating_points(
    seen: Images, matches: Sequence[Matches], weights: Counts, wanted: float
) -> dict[str, dict[str, Any]]:
    """Per class `best_f1` and `escape`, each None where it cannot be had, with intervals over `weights`.

    A class without any object in these images has neither.
    """
    result: dict[str, dict[str, Any]] = {}
    for column, each in enumerate(matches):
        holds, top = seen.holds[:, column], seen.top[:, column]
        points: dict[str, Any] = {"best_f1": None, "escape": None, "lowest_escape_rate": None}
        if best := best_point(each):
            sampled = _best_f1(each, weights)
            points["best_f1"] = _described(seen, column, each, best["score"], sampled, weights)
        if holds.any():
            lowest = rate(top == 0, holds, weights)
            points["lowest_escape_rate"] = lowest and lowest.document()
            if threshold := escape_threshold(top[holds], wanted):
                order = np.argsort(top[holds])
                sampled = _thresholds(top[holds][order], weights[:, holds][:, order], wanted)
                points["escape"] = _described(seen, column, each, threshold, sampled, weights)
        result[each.label] = points
    return result


def _described(
    seen: Images, column: int, matches: Matches, threshold: float, sampled: Floats, weights: Counts
) -> dict[str, Any]:
    holds, over = seen.holds[:, column], seen.top[:, column] >= threshold
    rates = {
        "escape_rate": rate(~over, holds, weights),
        "overkill_rate": rate(over, seen.good, weights),
        "false_alarm_rate": rate(over, ~holds & ~seen.vague, weights),
    }
    hits = matches.hits[0][matches.scores >= threshold]
    objects = int(matches.objects.sum())
    return {
        "score": threshold,
        "score_interval": rounded(interval(threshold, sampled)),
        **{name: each and each.document() for name, each in rates.items()},
        "precision": round(float(hits.mean()), 4) if hits.size else None,
        "recall": round(float(hits.sum()) / objects, 4) if objects else None,
    }


def _best_f1(matches: Matches, weights: Counts) -> Floats:
    """The threshold with the best F1 in each resample [resamples]."""
    thresholds, last = steps(matches)
    drawn = weights[:, matches.images]
    seen = np.cumsum(drawn, axis=1)[:, last]
    hits = np.cumsum(drawn * matches.hits[0], axis=1)[:, last]
    objects = weights @ matches.objects
    f1 = 2 * hits / np.maximum(seen + objects[:, None], 1)
    return np.where(hits[:, -1] > 0, thresholds[f1.argmax(axis=1)], np.nan)


def sweep(seen: Images, column: int) -> dict[str, list[float] | None]:
    """The escape, overkill and false alarm rate of a class at each threshold of SWEEP."""
    over = seen.top[:, column, None] >= np.maximum(SWEEP, 1e-9)

    def share(flags: Flags, among: Flags) -> list[float] | None:
        return flags[among].mean(axis=0).tolist() if among.any() else None

    holds = seen.holds[:, column]
    return {
        "escape": share(~over, holds),
        "overkill": share(over, seen.good),
        "false_alarm": share(over, ~holds & ~seen.vague),
    }


def rules(points: Mapping[str, Mapping[str, Any]], version: str, floor: float) -> dict[str, Any]:
    """A rules document (docs/rules.md) from operating points.

    A class asks for a review from its escape threshold on, so that only the wanted share passes, and fails
    from its best F1 on, where the model is right more often than not. Where the escape threshold is the
    higher of the two, nothing is left to review between them. Where it cannot be had, review begins at
    `floor`, the lowest score that the model serves.
    """
    classes = {}
    for label, each in points.items():
        if each["escape"] or each["best_f1"]:
            review = each["escape"]["score"] if each["escape"] else floor
            fail = max(review, each["best_f1"]["score"] if each["best_f1"] else review)
            classes[label] = {"fail_score": fail, "review_score": review}
    default = {"fail_score": FAIL_SCORE, "review_score": REVIEW_SCORE, "severity": "major"}
    return {"version": version[:64], "default": default, "classes": classes}


def verdicts(seen: Images, document: Mapping[str, Any], weights: Counts) -> dict[str, Any]:
    """What the rules `document` makes of these images, all classes together; rates with their intervals.

    escape: defective images that pass; overkill: good images that fail; review: images of which a person is
    asked; None where there are no such images.
    """
    scores = [{**document["default"], **document["classes"].get(label, {})} for label in seen.labels]
    fails: Flags = np.any(seen.top >= [each["fail_score"] for each in scores], axis=1)
    doubts: Flags = np.any(seen.top >= [each["review_score"] for each in scores], axis=1)
    asks = doubts & ~fails
    everything = np.ones(len(seen.top), np.bool_)
    rates = {
        "escape_rate": rate(~fails & ~asks, ~seen.good, weights),
        "overkill_rate": rate(fails, seen.good, weights),
        "review_rate": rate(asks, everything, weights),
        "fail_rate": rate(fails, everything, weights),
    }
    return {name: each and each.document() for name, each in rates.items()}

"""At which score to act: what escapes below a threshold, and what a threshold fails for nothing.

Everything here is about whole images, as a verdict is. For a class c and a threshold t:

- Escape rate: of the images with a defect of class c, the share in which no detection of class c reaches t. The
  detection need not be on the defect: the product is stopped all the same.
- Overkill rate: of the good images (no object, and no tag such as "anomaly"), the share in which a detection of class c
  reaches t. None for a data set without good images.
- False alarm rate: of the images without a defect of class c, good or not, the share in which a detection of class c
  reaches t. None if every image has a defect of class c. Images that are tagged as defective but have no box are left
  out: nobody knows the class of their defect.

Only detections that the endpoint would serve count: those above the artefact's own score threshold.
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
    ImageDetections,
    Matches,
    best_point,
    round_down,
    rounded,
    steps,
)
from training.model.decoding import Detections, Postprocess

Flags = NDArray[np.bool_]
SWEEP = np.round(np.linspace(0.0, 1.0, 101), 2)


def as_served(detections: Detections, postprocess: Postprocess) -> Detections:
    """Return the detections that the endpoint would serve, out of those that the metrics keep."""
    kept = np.flatnonzero(detections.scores > postprocess.score_threshold)[: postprocess.detections]
    return Detections(detections.boxes[kept], detections.scores[kept], detections.classes[kept])


@dataclass(frozen=True)
class ImageScores:
    """What a verdict depends on, for N images and C classes.

    Attributes:
        labels: The C classes.
        top: [N, C] the highest score of each class; 0 without a detection.
        present: [N, C] whether the image has a defect of the class.
        good: [N] whether the image has no defect.
        unlocated: [N] whether the image is tagged as defective, but no box tells the class.
        foreign: [N] whether the model takes the image for another product, or for none, so that it goes to review;
            None: for no image.
    """

    labels: tuple[str, ...]
    top: Floats
    present: Flags
    good: Flags
    unlocated: Flags
    foreign: Flags | None = None


def image_scores(dataset: Dataset, results: Sequence[ImageDetections]) -> ImageScores:
    """Return what a verdict depends on.

    Args:
        dataset: Its samples' objects are the truth.
        results: The detections of each sample that would be served.
    """
    shape = (len(dataset.samples), len(dataset.labels))
    top, present = np.zeros(shape), np.zeros(shape, np.bool_)
    for index, (sample, detections) in enumerate(zip(dataset.samples, results, strict=True)):
        np.maximum.at(top[index], detections.classes, round_down(detections.scores))
        for labelled in sample.objects:
            present[index, dataset.labels.index(labelled.label)] = True
    empty = ~np.any(present, axis=1)
    unlocated = empty & np.array([sample.has_unplaced_defect for sample in dataset.samples])
    return ImageScores(dataset.labels, top, present, empty & ~unlocated, unlocated)


def escape_threshold(top: Floats, escape_rate: float) -> float | None:
    """Return the highest threshold at which at most a share `escape_rate` of the images escapes; None without one.

    Args:
        top: [n] the highest score of the class in each image that has such a defect.
        escape_rate: The share that may escape.

    >>> escape_threshold(np.array([0.9, 0.2, 0.7, 0.8]), 0.25)
    0.7
    """
    threshold = float(thresholds(np.sort(top), np.ones((1, len(top)), np.int64), escape_rate)[0])
    return threshold or None


def thresholds(rising: Floats, weights: Counts, share: float) -> Floats:
    """Return the highest threshold below which at most `share` of the images lie, for each resample.

    Args:
        rising: [n] scores.
        weights: [resamples, n] how often each image was drawn.
        share: Of the images.
    """
    drawn = np.cumsum(weights, axis=1)
    allowed = np.floor(share * drawn[:, -1] + 1e-9)
    result: Floats = rising[(drawn > allowed[:, None]).argmax(axis=1)]
    return result


def operating_points(
    images: ImageScores, matches: Sequence[Matches], weights: Counts, escape_rate: float
) -> dict[str, dict[str, Any]]:
    """Return the operating points of each class.

    Args:
        images: What a verdict depends on.
        matches: Of each class.
        weights: [resamples, images] how often each image was drawn, for the intervals.
        escape_rate: The share of images that may escape.

    Returns:
        Per class "best_f1" and "escape", and "lowest_escape_rate", the share that escapes at any threshold. Each is
        None if there is none; a class without any object in these images has none of them.
    """
    result: dict[str, dict[str, Any]] = {}
    for column, match in enumerate(matches):
        present, top = images.present[:, column], images.top[:, column]
        points: dict[str, Any] = {"best_f1": None, "escape": None, "lowest_escape_rate": None}
        if best := best_point(match):
            sampled = _best_f1(match, weights)
            points["best_f1"] = point_at(images, column, match, best["score"], sampled, weights)
        if present.any():
            lowest = rate(top == 0, present, weights)
            points["lowest_escape_rate"] = lowest and lowest.document()
            if threshold := escape_threshold(top[present], escape_rate):
                order = np.argsort(top[present])
                sampled = thresholds(top[present][order], weights[:, present][:, order], escape_rate)
                points["escape"] = point_at(images, column, match, threshold, sampled, weights)
        result[match.label] = points
    return result


def point_at(
    images: ImageScores, column: int, matches: Matches, threshold: float, sampled: Floats, weights: Counts
) -> dict[str, Any]:
    """Return one operating point of one class.

    Args:
        images: What a verdict depends on.
        column: The class.
        matches: Of the class.
        threshold: The score of the point.
        sampled: [resamples] the threshold in each resample.
        weights: [resamples, images] how often each image was drawn.
    """
    present, reached = images.present[:, column], images.top[:, column] >= threshold
    rates = {
        "escape_rate": rate(~reached, present, weights),
        "overkill_rate": rate(reached, images.good, weights),
        "false_alarm_rate": rate(reached, ~present & ~images.unlocated, weights),
    }
    hits = matches.hits[0][matches.scores >= threshold]
    objects = int(matches.objects.sum())
    return {
        "score": threshold,
        "score_interval": rounded(interval(threshold, sampled)),
        **{name: value and value.document() for name, value in rates.items()},
        "precision": round(float(hits.mean()), 4) if hits.size else None,
        "recall": round(float(hits.sum()) / objects, 4) if objects else None,
    }


def _best_f1(matches: Matches, weights: Counts) -> Floats:
    """The threshold with the best F1 in each resample [resamples]."""
    scores, last = steps(matches)
    drawn = weights[:, matches.images]
    detections = np.cumsum(drawn, axis=1)[:, last]
    hits = np.cumsum(drawn * matches.hits[0], axis=1)[:, last]
    objects = weights @ matches.objects
    f1 = 2 * hits / np.maximum(detections + objects[:, None], 1)
    return np.where(hits[:, -1] > 0, scores[f1.argmax(axis=1)], np.nan)


def sweep(images: ImageScores, column: int) -> dict[str, list[float] | None]:
    """Return the escape, overkill and false alarm rate of a class at each threshold of SWEEP."""
    reached = images.top[:, column, None] >= np.maximum(SWEEP, 1e-9)

    def share(flags: Flags, among: Flags) -> list[float] | None:
        return flags[among].mean(axis=0).tolist() if among.any() else None

    present = images.present[:, column]
    return {
        "escape": share(~reached, present),
        "overkill": share(reached, images.good),
        "false_alarm": share(reached, ~present & ~images.unlocated),
    }


def rules_document(points: Mapping[str, Mapping[str, Any]], version: str, floor: float) -> dict[str, Any]:
    """Return a rules document (docs/rules.md) made of operating points.

    A class goes to review from its escape threshold on, so that only the accepted share passes. It fails from its best
    F1 on, where the model is right more often than not. If the escape threshold is the higher of the two, there is no
    range for review. If there is no escape threshold, review begins at `floor`.

    Both lie as high as these images allow, at the score of one of their defects. An anomaly model has a threshold of
    its own, from other images. Where that is lower and no more of these good images reach it, it takes their place: a
    defect that is a little weaker than all of these must not pass.

    Good images alone give an overkill point, and nothing better than the model's own threshold: what is between the two
    is for review.

    Args:
        points: Of each class, as `operating_points` and `anomalies.points` return them.
        version: Of the document; cut to 64 characters.
        floor: The lowest score that the model serves.
    """
    classes = {}
    for label, point in points.items():
        if point["escape"] or point["best_f1"]:
            review = _own_if_as_good(point, "escape") if point["escape"] else floor
            fail = max(review, _own_if_as_good(point, "best_f1") if point["best_f1"] else review)
            classes[label] = {"fail_score": fail, "review_score": review}
        elif point.get("overkill"):
            review, fail = sorted((point["overkill"]["score"], point["card"]["score"]))
            classes[label] = {"fail_score": fail, "review_score": review}
    default = {"fail_score": FAIL_SCORE, "review_score": REVIEW_SCORE, "severity": "major"}
    return {"version": version[:64], "default": default, "classes": classes}


def _own_if_as_good(point: Mapping[str, Any], name: str) -> float:
    """Return the score of a point, or the model's own threshold if it is lower and fails no more good images."""
    chosen, own = point[name], point.get("card")
    score = float(chosen["score"])
    if not own or not chosen["overkill_rate"] or own["score"] >= score:
        return score
    as_good = own["overkill_rate"]["count"] <= chosen["overkill_rate"]["count"]
    return float(own["score"]) if as_good else score


def verdict_rates(images: ImageScores, rules: Mapping[str, Any], weights: Counts) -> dict[str, Any]:
    """Return what a rules document decides for these images, all classes together.

    Returns:
        Rates with their intervals, None if there are no such images: "escape_rate", defective images that pass;
        "overkill_rate", good images that fail; "review_rate" and "fail_rate", of all images.
    """
    scores = [{**rules["default"], **rules["classes"].get(label, {})} for label in images.labels]
    fails: Flags = np.any(images.top >= [score["fail_score"] for score in scores], axis=1)
    doubtful: Flags = np.any(images.top >= [score["review_score"] for score in scores], axis=1)
    reviews = (doubtful if images.foreign is None else doubtful | images.foreign) & ~fails
    everything = np.ones(len(images.top), np.bool_)
    rates = {
        "escape_rate": rate(~fails & ~reviews, ~images.good, weights),
        "overkill_rate": rate(fails, images.good, weights),
        "review_rate": rate(reviews, everything, weights),
        "fail_rate": rate(fails, everything, weights),
    }
    return {name: value and value.document() for name, value in rates.items()}

"""Confidence intervals by the bootstrap over images (Efron & Tibshirani, An Introduction to the Bootstrap, ch. 13).

A resample of N images is a row of N weights: how often each image was drawn. Nothing is matched again, because an
image's detections match the same objects however often it is drawn. Average precision is therefore computed from
pycocotools' matches with those weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluation.metrics import Counts, Floats, Matches, rounded

RESAMPLES = 1000
LEVEL = 0.95
_RECALLS = np.linspace(0.0, 1.0, 101)  # pycocotools' recall levels
_CHUNK = 2_000_000  # elements processed at once, so that a large test set fits into memory

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of images, with its 95 % confidence interval.

    Attributes:
        value: `count` / `of`.
        interval: Of the value.
        count: How many images.
        of: Out of how many.
    """

    value: float
    interval: Interval
    count: int
    of: int

    def document(self) -> dict[str, Any]:
        """Return the rate for JSON, rounded."""
        document: dict[str, Any] = rounded(asdict(self))
        return document


def resample(images: int, resamples: int = RESAMPLES, seed: int = 0) -> Counts:
    """Return how often each image was drawn: [resamples, images]. It is the same for every model on these images."""
    rng = np.random.default_rng(seed)
    weights: Counts = rng.multinomial(images, np.full(images, 1 / images), size=resamples)
    return weights


def average_precision(matches: Sequence[Matches], weights: Counts) -> Floats:
    """Return the average precision of every resample, as pycocotools gives it with each image repeated.

    Args:
        matches: Of each class.
        weights: [resamples, images] how often each image was drawn.

    Returns:
        [resamples, classes, 10 IoU thresholds]; NaN where a resample contains no object of a class.
    """
    result = np.full((len(weights), len(matches), 10), np.nan)
    for column, match in enumerate(matches):
        step = max(1, _CHUNK // max(1, len(match.scores)))
        for start in range(0, len(weights), step):
            rows = slice(start, start + step)
            result[rows, column] = _class_precision(match, weights[rows])
    return result


def _class_precision(matches: Matches, weights: Counts) -> Floats:
    """AP [resamples, 10] of one class.

    Interpolated precision at a recall is the best precision at that recall or a higher one. Only a hit can raise
    precision, so only the hits are considered.
    """
    objects = weights @ matches.objects
    detections = np.cumsum(weights[:, matches.images], axis=1)
    result = np.zeros((len(weights), len(matches.hits)))
    for threshold, hits in enumerate(matches.hits):
        indices = np.flatnonzero(hits)
        if not indices.size:
            continue
        true = np.cumsum(weights[:, matches.images[indices]], axis=1)
        precision = true / np.maximum(detections[:, indices], 1)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = true / np.maximum(objects, 1)[:, None]
        levels = np.searchsorted(_RECALLS, recall, side="right")  # how many recall levels are reached
        levels[true == 0] = 0
        result[:, threshold] = (envelope * np.diff(levels, axis=1, prepend=0)).sum(axis=1) / len(_RECALLS)
    result[objects == 0] = np.nan
    return result


def mean_over_classes(precision: Floats) -> Floats:
    """Return [resamples] the mean of [resamples, classes, ...] over the defined values; NaN where none is defined."""
    flat = precision.reshape(len(precision), -1)
    defined = ~np.isnan(flat)
    count = defined.sum(axis=1)
    total = np.where(defined, flat, 0).sum(axis=1)
    result: Floats = np.where(count, total / np.maximum(count, 1), np.nan)
    return result


def interval(point: float, samples: Floats) -> Interval:
    """Return the percentile interval of `samples` without NaNs, widened if needed to contain the point itself."""
    defined = samples[~np.isnan(samples)]
    if not defined.size:
        return point, point
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return min(float(low), point), max(float(high), point)


def rate(flags: NDArray[np.bool_], among: NDArray[np.bool_], weights: Counts) -> Rate | None:
    """Return the share of images with a flag.

    If no image or every image has the flag, all resamples agree, but that is no certainty. That end of the interval is
    then the exact one of Clopper and Pearson (Biometrika 26, 1934), 1 - 0.025 ** (1 / n).

    Args:
        flags: [N] which images have the flag.
        among: [N] which images count.
        weights: [resamples, N] how often each image was drawn.

    Returns:
        None if no image counts.
    """
    of = int(among.sum())
    if not of:
        return None
    count = int((flags & among).sum())
    drawn = weights @ among
    some = drawn > 0
    samples = (weights @ (flags & among))[some] / drawn[some]
    value = count / of
    low, high = interval(value, samples)
    if count == 0:
        high = 1 - exact_low(of)
    if count == of:
        low = exact_low(of)
    return Rate(value, (low, high), count, of)


def exact_low(trials: int) -> float:
    """Return the lower end of the interval of a share when all of `trials` agree: 0.025 ** (1 / trials).

    >>> round(exact_low(30), 3)
    0.884
    """
    return float(((1 - LEVEL) / 2) ** (1 / trials))

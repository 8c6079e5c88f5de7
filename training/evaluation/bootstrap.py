"""How sure a figure is: the bootstrap over images (Efron & Tibshirani, An Introduction to the Bootstrap, ch. 13).

A resample of N images is a row of N weights, how often each image was drawn. Nothing is matched again: an
image's detections meet the same objects however often it is drawn, so average precision is accumulated from
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
_CHUNK = 2_000_000  # elements worked on at once, so that a large test set fits into memory

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of images: `count` out of `of`, and the 95 % confidence interval of the share."""

    value: float
    interval: Interval
    count: int
    of: int

    def document(self) -> dict[str, Any]:
        """For JSON."""
        document: dict[str, Any] = rounded(asdict(self))
        return document


def resample(images: int, resamples: int = RESAMPLES, seed: int = 0) -> Counts:
    """[resamples, images] how often each image was drawn; the same for every model judged on these images."""
    rng = np.random.default_rng(seed)
    weights: Counts = rng.multinomial(images, np.full(images, 1 / images), size=resamples)
    return weights


def average_precision(matches: Sequence[Matches], weights: Counts) -> Floats:
    """AP [resamples, classes, 10 IoU thresholds] of every resample; NaN where it holds no object of a class.

    The same as pycocotools' with each image repeated as `weights` [resamples, images] say.
    """
    result = np.full((len(weights), len(matches), 10), np.nan)
    for column, each in enumerate(matches):
        step = max(1, _CHUNK // max(1, len(each.scores)))
        for start in range(0, len(weights), step):
            rows = slice(start, start + step)
            result[rows, column] = _class_precision(each, weights[rows])
    return result


def _class_precision(matches: Matches, weights: Counts) -> Floats:
    """AP [resamples, 10] of one class.

    Interpolated precision at a recall is the best precision from there on, and only a hit can raise
    precision, so it is enough to look at the hits.
    """
    objects = weights @ matches.objects
    seen = np.cumsum(weights[:, matches.images], axis=1)
    result = np.zeros((len(weights), len(matches.hits)))
    for threshold, hits in enumerate(matches.hits):
        where = np.flatnonzero(hits)
        if not where.size:
            continue
        true = np.cumsum(weights[:, matches.images[where]], axis=1)
        precision = true / np.maximum(seen[:, where], 1)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = true / np.maximum(objects, 1)[:, None]
        reached = np.searchsorted(_RECALLS, recall, side="right")  # how many recall levels, so far
        reached[true == 0] = 0
        result[:, threshold] = (envelope * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(_RECALLS)
    result[objects == 0] = np.nan
    return result


def mean_over_classes(precision: Floats) -> Floats:
    """[resamples] the mean of [resamples, classes, ...] over what is defined; NaN where nothing is."""
    flat = precision.reshape(len(precision), -1)
    defined = ~np.isnan(flat)
    count = defined.sum(axis=1)
    total = np.where(defined, flat, 0).sum(axis=1)
    result: Floats = np.where(count, total / np.maximum(count, 1), np.nan)
    return result


def interval(point: float, samples: Floats) -> Interval:
    """The percentile interval of `samples`, NaNs left out, widened where needed to hold the point itself."""
    defined = samples[~np.isnan(samples)]
    if not defined.size:
        return point, point
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return min(float(low), point), max(float(high), point)


def rate(flags: NDArray[np.bool_], among: NDArray[np.bool_], weights: Counts) -> Rate | None:
    """The share of the images `among` [N] that bear a flag [N]; None when there are none.

    Where none or all bear it, every resample says the same, which is no certainty: that end is then the exact
    one of Clopper and Pearson (Biometrika 26, 1934), 1 - 0.025 ** (1 / n).
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
    doubt = 1 - ((1 - LEVEL) / 2) ** (1 / of)
    if count == 0:
        high = doubt
    if count == of:
        low = 1 - doubt
    return Rate(value, (low, high), count, of)

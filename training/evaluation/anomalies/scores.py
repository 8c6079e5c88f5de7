"""How well the scores of whole images separate good products from defective ones, at every threshold at once.

- AUROC: the probability that a defective image has a higher score than a good one; ties count one half (Hanley and
  McNeil, Radiology 143(1), 1982; the statistic of Mann and Whitney).
- Caught at zero overkill: of the defective images, the share with a higher score than every good image.
- F1-max: the best F1 of any threshold, over whole images; a score that reaches the threshold counts as defective.

All need good and defective images. The intervals are those of `bootstrap`, over images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation.bootstrap import Interval, exact_low, interval
from training.evaluation.metrics import Counts, Floats

FIGURES = ("image_auroc", "caught_at_zero_overkill", "f1_max")
_CHUNK = 2_000_000  # elements processed at once, so that a large test set fits into memory

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95 % confidence interval.

    Attributes:
        value: The figure.
        interval: Of the value.
        samples: [resamples] the figure of each resample; NaN where it is undefined.
    """

    value: float
    interval: Interval
    samples: Floats


def image_figures(scores: Floats, good: Flags, defective: Flags, weights: Counts) -> dict[str, Figure | None]:
    """Return how well the scores separate the images.

    Args:
        scores: [N] of any scale, higher for a defect.
        good: [N] which images show a good product.
        defective: [N] which images show a defect.
        weights: [resamples, N] how often each image was drawn.

    Returns:
        A figure for each name of FIGURES; None without good or without defective images.
    """
    if not good.any() or not defective.any():
        return dict.fromkeys(FIGURES)
    measures = (auroc, caught_at_zero_overkill, f1_max)
    once = np.ones((1, len(scores)), np.int64)
    points = [float(measure(*by_score(scores, good, defective, once))[0]) for measure in measures]
    chunks = [
        [measure(*counts) for measure in measures] for counts in _in_chunks(scores, good, defective, weights)
    ]
    samples = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
    # So many pairs of a good and a defective image are independent of each other.
    pairs = min(int(good.sum()), int(defective.sum()))
    return {
        name: Figure(point, _interval(point, sampled, pairs), sampled)
        for name, point, sampled in zip(FIGURES, points, samples, strict=True)
    }


def _interval(point: float, samples: Floats, trials: int) -> Interval:
    """The percentile interval. Where all resamples agree, `trials` have agreed, and no more: then it is wider."""
    low, high = interval(point, samples)
    if point == 1:
        low = min(low, exact_low(trials))
    if point == 0:
        high = max(high, 1 - exact_low(trials))
    return low, high


def _in_chunks(
    scores: Floats, good: Flags, defective: Flags, weights: Counts
) -> Iterator[tuple[Counts, Counts]]:
    step = max(1, _CHUNK // len(scores))
    for start in range(0, len(weights), step):
        yield by_score(scores, good, defective, weights[start : start + step])


def by_score(scores: Floats, good: Flags, defective: Flags, weights: Counts) -> tuple[Counts, Counts]:
    """Return how many good and how many defective images have each score.

    Args:
        scores: [N], with U different values.
        good: [N] which images show a good product.
        defective: [N] which images show a defect.
        weights: [R, N] how often each image counts.

    Returns:
        Two [R, U], by rising score.
    """
    order = np.argsort(scores, kind="stable")
    rising = scores[order]
    firsts = np.flatnonzero(np.append(True, rising[1:] != rising[:-1]))
    drawn = weights[:, order]
    counts = (np.add.reduceat(drawn * flags[order], firsts, axis=1) for flags in (good, defective))
    return next(counts), next(counts)


def auroc(good: Counts, defective: Counts) -> Floats:
    """Return the area under the ROC curve [R]; NaN without good or without defective images.

    Args:
        good: [R, U] how many good images have each score, by rising score.
        defective: As good.

    >>> float(auroc(np.array([[1, 1, 0]]), np.array([[0, 1, 1]]))[0])
    0.875
    """
    below = np.cumsum(good, axis=1) - good
    won = (defective * (below + good / 2)).sum(axis=1)
    return _divided(won, good.sum(axis=1) * defective.sum(axis=1))


def caught_at_zero_overkill(good: Counts, defective: Counts) -> Floats:
    """Return the share of defective images above every good one [R]; arguments as in `auroc`.

    >>> float(caught_at_zero_overkill(np.array([[1, 1, 0]]), np.array([[0, 1, 1]]))[0])
    0.5
    """
    good_from_here = np.cumsum(good[:, ::-1], axis=1)[:, ::-1]
    above = (defective * (good_from_here == 0)).sum(axis=1)
    total = defective.sum(axis=1)
    return _divided(above, np.where(good.any(axis=1), total, 0))


def f1_max(good: Counts, defective: Counts) -> Floats:
    """Return the best F1 of any threshold [R]; arguments as in `auroc`.

    >>> round(float(f1_max(np.array([[1, 1, 0]]), np.array([[0, 1, 1]]))[0]), 3)
    0.8
    """
    false, true = (np.cumsum(counts[:, ::-1], axis=1) for counts in (good, defective))
    total = defective.sum(axis=1)
    f1 = (2 * true / np.maximum(true + false + total[:, None], 1)).max(axis=1)
    return np.where((total > 0) & good.any(axis=1), f1, np.nan)


def _divided(part: NDArray[np.number], whole: NDArray[np.number]) -> Floats:
    result: Floats = np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
    return result


def document(figures: Mapping[str, Figure | None]) -> dict[str, float | None]:
    """Return the values, by name."""
    return {name: None if figure is None else figure.value for name, figure in figures.items()}


def intervals(figures: Mapping[str, Figure | None]) -> dict[str, Interval | None]:
    """Return the intervals, by name."""
    return {name: None if figure is None else figure.interval for name, figure in figures.items()}

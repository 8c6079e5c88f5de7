"""The scores at which an anomaly model may act, in the same form as those of a detector's class.

An image counts as a whole, so precision, recall and F1 are over images here. To the points of a class, good images add
the overkill point, and the model's card adds its own threshold.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from contract.scores import ANOMALY
from training.evaluation.metrics import Counts, Matches
from training.evaluation.operating_points import ImageScores, operating_points, point_at, thresholds

# A served score is rounded to four digits, and those of ImageScores are rounded down: this is above both.
_ABOVE = 2e-4


def anomaly_points(
    images: ImageScores,
    weights: Counts,
    *,
    escape_rate: float,
    overkill_rate: float,
    own: float,
    floor: float,
) -> dict[str, Any]:
    """Return the operating points of an anomaly model.

    Args:
        images: What a verdict depends on: one class, of which every defective image has a defect.
        weights: [resamples, images] how often each image was drawn, for the intervals.
        escape_rate: The share of defective images that may escape.
        overkill_rate: The share of good images that may fail.
        own: The threshold in the model's card.
        floor: The lowest score that the model serves.

    Returns:
        "best_f1", "escape" and "lowest_escape_rate" as `operating_points` gives them; "overkill", at the lowest score
        that at most `overkill_rate` of the good images reach, and "card", at the model's own threshold. A point that
        these images do not give is None.
    """
    matches = _matches(images)
    points: dict[str, Any] = operating_points(images, [matches], weights, escape_rate)[ANOMALY]
    fixed = np.full(len(weights), own)
    points["card"] = point_at(images, 0, matches, own, fixed, weights)
    points["overkill"] = None
    if images.good.any():
        top = images.top[images.good, 0]
        order = np.argsort(-top)
        falling, drawn = -top[order], weights[:, images.good][:, order]
        once = np.ones((1, len(top)), np.int64)
        threshold, sampled = (
            np.maximum(_ABOVE - thresholds(falling, counts, overkill_rate), floor) for counts in (once, drawn)
        )
        if threshold[0] <= 1:
            score = round(float(threshold[0]), 4)
            points["overkill"] = point_at(images, 0, matches, score, np.minimum(sampled, 1), weights)
    return points


def _matches(images: ImageScores) -> Matches:
    """The images as detections of themselves: those that are served, best first."""
    top, defective = images.top[:, 0], images.present[:, 0]
    order = np.argsort(-top, kind="stable")
    order = order[top[order] > 0]
    hits = np.tile(defective[order], (10, 1))
    return Matches(ANOMALY, order, top[order], hits, defective.astype(np.int64))

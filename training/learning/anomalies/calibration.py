"""From distances to thresholds: what is usual, and from where on a picture is no good product any more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special  # scipy.stats takes a second more to import

from contract.scores import REVIEW_SCORE
from training.learning.anomalies.coreset import Floats
from training.learning.anomalies.leave_one_out import Distances
from training.model.anomaly_scale import AnomalyScale

# The score of a usual good picture: below everything that is shown as a detection.
_USUAL_SCORE = 0.02
# The score from which on a picture is doubtful: rounding must not bring it below that of the rules.
_DOUBTFUL_SCORE = REVIEW_SCORE + 0.001
# The score of the farthest good picture: endpoints give four digits, and bad pictures need what is above it.
_FARTHEST_SCORE = 0.99
_CONFIDENCE = 0.95
# Of the places of good pictures, this share is outside every region.
_CALM_SHARE = 0.999
# Of the largest median of known pictures.
_FOREIGN = 2.0
# Less than half as far from an empty place as from a product. Broken parts of which much is missing reach 0.58.
_EMPTINESS = 0.7
# A spread of nothing would make each distance 0 or 1.
_LEAST_SPREAD = 0.005
# Deviations beyond which a good picture is doubtful; so many pictures are needed to know a deviation.
_OUTLYING, _ENOUGH = 5.0, 8
# Of the logarithm of a distance: pictures that are nearly alike must not make each other outliers.
_LEAST_DEVIATION = 0.03
_MISTAKES = 0.1
_GOOD, _BOTH, _TOGETHER = "good pictures", "good and bad pictures", "good and bad pictures, which overlap"


@dataclass(frozen=True, slots=True)
class Share:
    """A share of some pictures, with what it may be of all.

    Attributes:
        value: The share.
        count: How many pictures it is.
        of: Of how many.
        interval: Clopper and Pearson's, at 95 % confidence.
    """

    value: float
    count: int
    of: int
    interval: tuple[float, float]

    def summary(self) -> dict[str, Any]:
        """Return it as model.json contains it."""
        low, high = (round(limit, 4) for limit in self.interval)
        return {
            "value": round(self.value, 4),
            "count": self.count,
            "of": self.of,
            "interval": [low, high],
        }


@dataclass(frozen=True, slots=True)
class Calibration:
    """What distances mean.

    Attributes:
        scale: For the model's card.
        overkill: The share of good pictures from the threshold on.
        doubtful: The share of good pictures below it that a person looks at, by the rules' default.
        escape: The share of bad pictures that pass, by the same rules; None without bad pictures.
        method: How the threshold was placed.
        unseen: The numbers of the bad pictures that look like usual good ones: no threshold finds them.
    """

    scale: AnomalyScale
    overkill: Share
    doubtful: Share
    escape: Share | None
    method: str
    unseen: tuple[int, ...]


def calibrate(good: Distances, bad: Distances, overkill_rate: float, escape_rate: float) -> Calibration:
    """Place the thresholds.

    Args:
        good: Of good pictures, each compared with a memory without itself; at least two.
        bad: Of bad pictures; there may be none.
        overkill_rate: The wanted share of good products above the threshold.
        escape_rate: The wanted share of bad products that pass. If that takes a threshold which fails too many good
            ones, what is between both is left to a person.
    """
    threshold = doubtful = good_limit(good.pictures, overkill_rate)
    method = _GOOD
    usual = float(np.median(good.pictures))
    seen = np.flatnonzero(bad.pictures > usual)
    if len(seen):
        doubtful, threshold, method = _between(good.pictures, bad.pictures[seen], threshold, escape_rate)
    unseen = tuple(int(number) for number in np.flatnonzero(bad.pictures <= usual))
    scale = AnomalyScale(
        threshold=_figure(threshold),
        spread=_figure(_spread(good.pictures, usual, threshold, doubtful)),
        region_threshold=_figure(min(threshold, float(np.quantile(good.places, _CALM_SHARE)))),
        map_range=_map_range(good.places, threshold),
        foreign_above={"median": _figure(_foreign(good, bad, threshold)), "emptiness": _EMPTINESS},
    )
    looked_at = scale.distance(REVIEW_SCORE)
    missed = share(int((bad.pictures < looked_at).sum()), len(bad.pictures))
    failed, reached = (int((good.pictures >= limit).sum()) for limit in (scale.threshold, looked_at))
    return Calibration(
        scale,
        share(failed, len(good.pictures)),
        share(reached - failed, len(good.pictures)),
        missed if len(bad.pictures) else None,
        method,
        unseen,
    )


def good_limit(distances: Floats, rate: float) -> float:
    """Return the distance that the wanted share of further good pictures exceeds.

    With many pictures it is one of their distances, whatever their distribution is. With few it is the limit for one
    more picture, as Student's t gives it for the logarithms of the distances.

    Args:
        distances: Of at least two good pictures.
        rate: The wanted share.
    """
    count = len(distances)
    rank = math.ceil((count + 1) * (1 - rate))
    if rank <= count:
        return float(np.sort(distances)[rank - 1])
    logs = np.log(np.maximum(distances, 1e-6))
    deviation = float(logs.std(ddof=1)) * math.sqrt(1 + 1 / count)
    limit = logs.mean() + float(special.stdtrit(count - 1, 1 - rate)) * deviation
    # Two pictures say next to nothing about the third.
    return float(min(math.exp(min(limit, 50)), 3 * distances.max()))


def _between(good: Floats, bad: Floats, limit: float, escape_rate: float) -> tuple[float, float, str]:
    """Return from where on a picture is doubtful, from where on it is bad, and how both were found."""
    lowest, highest = float(np.sort(bad)[math.floor(escape_rate * len(bad))]), float(good.max())
    beyond = bad[bad > max(highest, lowest * (1 - 1e-6))]
    # Lower than the middle if good pictures alone say so: a defect that was not there yet may be fainter.
    threshold = max(limit, highest * (1 + 1e-6))
    if len(beyond):
        threshold = min((float(beyond.min()) + highest) / 2, threshold)
    if lowest > highest:
        return threshold, threshold, _BOTH
    # Just below it, so that rounding does not lose it.
    return lowest * (1 - 1e-5), threshold, _TOGETHER


def share(count: int, of: int) -> Share:
    """Return a share with the interval of Clopper and Pearson (1934), which holds for few pictures, too.

    >>> [round(limit, 3) for limit in share(0, 30).interval]
    [0.0, 0.116]
    """
    if not of:
        return Share(0.0, 0, 0, (0.0, 1.0))
    beyond = (1 - _CONFIDENCE) / 2
    low = float(special.betaincinv(count, of - count + 1, beyond)) if count else 0.0
    high = float(special.betaincinv(count + 1, of - count, 1 - beyond)) if count < of else 1.0
    return Share(count / of, count, of, (low, high))


def _spread(good: Floats, usual: float, threshold: float, doubtful: float) -> float:
    """Return the spread with which a usual good picture has a score of 0.02.

    It is wider where good and bad pictures overlap: what is doubtful then has a score that goes to review, and the
    farthest good pictures have at most 0.99, so that other thresholds can still divide them from bad ones.
    """
    review = math.log((1 - _DOUBTFUL_SCORE) / _DOUBTFUL_SCORE)
    below = math.log((1 - _USUAL_SCORE) / _USUAL_SCORE)
    above = math.log(_FARTHEST_SCORE / (1 - _FARTHEST_SCORE))
    farthest = float(good.max())
    return max(
        (threshold - usual) / below,
        (threshold - doubtful) / review,
        (farthest - threshold) / above,
        _LEAST_SPREAD * threshold,
        1e-6,
    )


def _foreign(good: Distances, bad: Distances, threshold: float) -> float:
    """Return the median distance of its places from which on a picture shows another product.

    Even a large defect leaves half of the places as they were. Measured (docs/families.md): pictures of the same
    product, also broken, darker, shifted or turned, have a median up to 1.7 times the usual one, and clearly different
    products about three times.
    """
    known = max(float(np.median(places, axis=1).max()) for places in (good.places, bad.places) if len(places))
    return max(_FOREIGN * known, threshold)


def outliers(distances: Floats) -> list[int]:
    """Return the numbers of pictures that are far beyond the others: bad ones among the good, perhaps.

    The others' median, and their median deviation from it, are not moved by a few of them.

    Args:
        distances: Of good pictures, each compared with a memory without itself.
    """
    if len(distances) < _ENOUGH:
        return []
    logs = np.log(np.maximum(distances, 1e-6))
    middle = float(np.median(logs))
    deviation = max(1.4826 * float(np.median(np.abs(logs - middle))), _LEAST_DEVIATION)
    return [int(number) for number in np.flatnonzero(logs > middle + _OUTLYING * deviation)]


def can_be_left_out(count: int, of: int) -> bool:
    """Return whether so many outliers are mistakes. More are rather a variant of the product that is seldom seen."""
    return count <= max(_MISTAKES * of, 1)


def _map_range(places: Floats, threshold: float) -> tuple[float, float]:
    """Return the range of a heat map: usual places are dark, and the threshold is in the middle."""
    low = min(float(np.median(places)), threshold * 0.9)
    return _figure(low), _figure(2 * threshold - low)


def _figure(value: float) -> float:
    return float(f"{value:.6g}")

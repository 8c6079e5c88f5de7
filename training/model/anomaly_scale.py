"""What the distances of an anomaly model mean: its calibration, as model.json keeps it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# More changes no score: this is 1 - 1e-17.
_MOST_LOG_ODDS = 40.0
# Each tells another product by itself: a defect is a few distant places, another product is distant nearly everywhere.
_MEASURES: Mapping[str, tuple[str, Callable[[float, Floats], float]]] = {
    "distance": ("its distance", lambda distance, places: distance),
    "mean": ("the mean distance of its places", lambda distance, places: float(places.mean())),
    "median": ("the distance of half of its places", lambda distance, places: float(np.median(places))),
}
_EMPTINESS = "emptiness"
# How each reason begins for which a picture is foreign.
ANOTHER_PRODUCT, NO_PRODUCT = "another product", "no product"


@dataclass(frozen=True, slots=True)
class AnomalyScale:
    """From the distances of an anomaly model to scores, regions and a heat map.

    Attributes:
        threshold: The distance of a picture with score 0.5.
        spread: The distance in which the log-odds of the score rise by 1.
        region_threshold: The distance from which a place belongs to a region.
        map_range: The distances that a heat map draws as 0 and as 255.
        foreign_above: Limits beyond which a picture shows another product, by measure: `distance` of the picture,
            `mean` and `median` of its places; or none at all: `emptiness`. One that is passed is enough. None: no
            picture is foreign.
    """

    threshold: float
    spread: float
    region_threshold: float
    map_range: tuple[float, float]
    foreign_above: dict[str, float] | None = None

    def score(self, distance: float) -> float:
        """Return the score of a distance, 0..1.

        >>> AnomalyScale(30, 2, 25, (10, 50)).score(30)
        0.5
        """
        log_odds = (distance - self.threshold) / self.spread
        return 1 / (1 + math.exp(-max(-_MOST_LOG_ODDS, min(_MOST_LOG_ODDS, log_odds))))

    def distance(self, score: float) -> float:
        """Return the distance of a score above 0 and below 1.

        >>> AnomalyScale(30, 2, 25, (10, 50)).distance(0.5)
        30.0
        """
        return self.threshold + self.spread * math.log(score / (1 - score))

    def foreign(self, distance: float, places: Floats, emptiness: float | None = None) -> str | None:
        """Return why a picture shows another product than the model has learned, or none; None if it does not.

        Args:
            distance: Of the picture.
            places: [h, w], the distance of each place.
            emptiness: 0 if the picture as a whole is like the products, 1 if it is like an empty place. None if the
                graph does not say it.

        >>> AnomalyScale(30, 2, 25, (10, 50), {"distance": 60}).foreign(92.1, np.zeros((1, 1), np.float32))
        'another product: its distance 92.1 is far beyond 60.0, the most that the model takes for its own product'
        """
        limits = dict(self.foreign_above or {})
        emptiest = limits.pop(_EMPTINESS, None)
        if emptiness is not None and emptiest is not None and emptiness > emptiest:
            return f"{NO_PRODUCT}: as a whole, the picture is more like an empty place than like a product"
        for name, limit in limits.items():
            words, measure = _MEASURES[name]
            found = measure(distance, places)
            if found > limit:
                return (
                    f"{ANOTHER_PRODUCT}: {words} {found:.1f} is far beyond {limit:.1f}, "
                    "the most that the model takes for its own product"
                )
        return None

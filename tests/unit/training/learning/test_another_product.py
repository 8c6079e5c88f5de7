"""From where on a picture shows another product: far beyond good pictures, and beyond large defects."""

from __future__ import annotations

import numpy as np
import pytest

from training.learning.anomalies.calibration import calibrate
from training.learning.anomalies.leave_one_out import Distances


def distances(*medians: float, farthest: float = 25.0) -> Distances:
    """Return those of pictures whose places have these medians, but for 40 % that are `farthest`."""
    places = np.array([[median] * 60 + [farthest] * 40 for median in medians], np.float32).reshape(-1, 100)
    return Distances(places.max(1) if len(places) else np.zeros(0, np.float32), places)


GOOD = distances(13.0, 14.0, 14.5, farthest=22.0)


@pytest.mark.parametrize("bad", [distances(), distances(16.0, 15.0, farthest=50.0)], ids=["no bad", "bad"])
def test_a_defect_of_nearly_half_the_picture_is_an_anomaly_and_another_product_is_none(
    bad: Distances,
) -> None:
    scale = calibrate(GOOD, bad, 0.01, 0.0).scale
    defect, other = distances(16.0, farthest=60.0), distances(43.0, farthest=60.0)
    assert scale.foreign(60.0, defect.places) is None
    reason = scale.foreign(60.0, other.places)
    assert reason is not None
    assert reason.startswith("another product: the distance of half of its places 43.0 is far beyond ")
    assert scale.foreign(float(GOOD.pictures[0]), GOOD.places[:1]) is None


def test_a_bad_picture_that_the_model_was_shown_is_never_another_product() -> None:
    bad = distances(40.0, farthest=60.0)
    scale = calibrate(GOOD, bad, 0.01, 0.0).scale
    assert scale.foreign(60.0, bad.places) is None


def test_pictures_that_are_nearly_identical_leave_a_limit_that_is_not_below_the_threshold() -> None:
    scale = calibrate(distances(0.0, 0.0, farthest=0.002), distances(), 0.01, 0.0).scale
    assert scale.foreign_above is not None
    assert scale.foreign_above["median"] >= scale.threshold > 0

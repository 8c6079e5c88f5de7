"""From distances to thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from contract.scores import REVIEW_SCORE
from training.learning.anomalies.calibration import (
    calibrate,
    can_be_left_out,
    good_limit,
    outliers,
    share,
)
from training.learning.anomalies.leave_one_out import Distances


def distances(values) -> Distances:
    pictures = np.array(values, np.float32)
    return Distances(pictures, np.repeat(pictures[:, None] * 0.6, 16, axis=1).reshape(len(pictures), 16))


def usual(count: int, seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(3.1, 0.1, count)).astype(np.float32)


NONE = Distances(np.zeros(0, np.float32), np.zeros((0, 1), np.float32))


@pytest.mark.parametrize("count", [10, 30, 300])
@pytest.mark.parametrize("rate", [0.02, 0.1])
def test_the_wanted_share_of_further_good_pictures_is_above_the_threshold(count, rate):
    """On average over what was learned from, for few pictures and for many."""
    further = usual(20_000, seed=9)
    found = np.mean([(further > good_limit(usual(count, seed), rate)).mean() for seed in range(150)])
    assert found == pytest.approx(rate, rel=0.35)


def test_with_many_pictures_the_threshold_needs_no_distribution():
    values = np.random.default_rng(0).uniform(10, 20, 999).astype(np.float32)
    assert (values > good_limit(values, 0.01)).mean() == pytest.approx(0.01, abs=0.0011)


def test_two_pictures_give_a_threshold_that_is_a_number_near_them():
    assert 11 < good_limit(np.array([10, 11], np.float32), 0.01) <= 33


@settings(max_examples=60, deadline=None)
@given(
    good=st.lists(st.floats(5, 60), min_size=2, max_size=40),
    bad=st.lists(st.floats(5, 120), max_size=20),
    overkill=st.floats(0.001, 0.5),
    escape=st.floats(0, 0.5),
)
def test_every_calibration_is_usable(good, bad, overkill, escape):
    found = calibrate(distances(good), distances(bad) if bad else NONE, overkill, escape)
    scale = found.scale
    assert scale.threshold > 0 < scale.spread
    assert scale.map_range[0] < scale.map_range[1]
    assert scale.region_threshold <= scale.threshold
    assert 0 <= found.overkill.value <= 1
    assert (found.escape is None) == (not bad)
    seen = [value for number, value in enumerate(bad) if number not in found.unseen]
    assert sum(scale.score(np.float32(value)) < REVIEW_SCORE for value in seen) <= escape * len(seen)


def test_a_usual_good_picture_has_a_score_of_two_percent():
    good = usual(30)
    scale = calibrate(distances(good), NONE, 0.01, 0).scale
    assert scale.score(float(np.median(good))) == pytest.approx(0.02, abs=0.001)
    assert scale.score(scale.threshold) == 0.5


def test_bad_pictures_close_to_the_good_ones_lower_the_threshold_into_the_gap():
    good = distances([20, 21, 22, 23, 24])
    alone = calibrate(good, NONE, 0.01, 0)
    both = calibrate(good, distances([25, 40]), 0.01, 0)
    assert both.scale.threshold == pytest.approx(24.5)
    assert alone.scale.threshold > 25
    assert (both.overkill.count, both.escape.count) == (0, 0)
    assert both.method == "good and bad pictures"


def test_bad_pictures_far_away_do_not_raise_the_threshold():
    """The next defect may be fainter than those that are known."""
    good = distances(usual(30))
    assert (
        calibrate(good, distances([300, 400]), 0.01, 0).scale.threshold
        == calibrate(good, NONE, 0.01, 0).scale.threshold
    )


def test_an_escape_rate_of_zero_lets_no_known_defect_pass_and_leaves_to_a_person_what_that_costs():
    good, bad = distances(range(20, 40)), distances([35, 36, 50, 60])
    found = calibrate(good, bad, 0.01, 0)
    assert (found.escape.count, found.overkill.count) == (0, 0)
    assert found.doubtful.count >= 5
    low, high = found.doubtful.interval
    assert low < found.doubtful.value < high
    assert calibrate(good, bad, 0.01, 0.5).doubtful.count < found.doubtful.count


def test_a_bad_picture_that_looks_like_a_usual_good_one_does_not_move_the_threshold_and_is_named():
    good = distances(range(20, 40))
    found = calibrate(good, distances([5, 50]), 0.01, 0)
    assert found.unseen == (0,)
    assert found.scale.threshold == calibrate(good, distances([50]), 0.01, 0).scale.threshold
    assert (found.escape.count, found.escape.of) == (1, 2)


def test_another_product_is_distant_nearly_everywhere_and_a_broken_part_is_not():
    good = distances(usual(30))
    scale = calibrate(good, NONE, 0.01, 0).scale
    places = good.places[0].copy()
    places[:6] = 500
    assert scale.foreign(500, places.reshape(4, 4)) is None
    assert "another product" in scale.foreign(500, np.full((4, 4), 3 * good.places.max(), np.float32))


def test_a_bad_picture_among_the_good_is_an_outlier_and_the_others_are_not():
    values = np.append(usual(30), np.float32(60))
    assert outliers(values) == [30]
    assert outliers(usual(200)) == []
    assert outliers(np.full(20, 7, np.float32)) == []


def test_few_outliers_are_mistakes_and_many_are_a_variant():
    assert can_be_left_out(1, 8)
    assert can_be_left_out(3, 30)
    assert not can_be_left_out(4, 30)


def test_the_interval_of_a_share_is_that_of_clopper_and_pearson():
    """No event among n: up to 1 - 0.025 ** (1 / n)."""
    found = share(0, 25)
    assert found.interval == (0.0, pytest.approx(1 - 0.025 ** (1 / 25)))
    assert share(25, 25).interval == (pytest.approx(0.025 ** (1 / 25)), 1.0)

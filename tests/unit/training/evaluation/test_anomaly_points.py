"""The thresholds of an anomaly model: what they promise holds for the scores that the endpoint serves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.rules import Rules
from training.evaluation.anomalies.points import anomaly_points
from training.evaluation.bootstrap import resample
from training.evaluation.metrics import round_down
from training.evaluation.operating_points import ImageScores, rules_document, verdict_rates

FLOOR = 0.05
SCORES = st.lists(st.floats(FLOOR, 1), min_size=1, max_size=40)
RATES = st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.5])
POINT = {
    "score",
    "score_interval",
    "escape_rate",
    "overkill_rate",
    "false_alarm_rate",
    "precision",
    "recall",
}

FEW = settings(max_examples=30)


def images(good: list[float], bad: list[float], foreign: int = 0) -> ImageScores:
    """Images of these scores; the first ones are foreign. A score below FLOOR is not served."""
    scores = np.array([*good, *bad])
    top = round_down(np.where(scores >= FLOOR, scores, 0))
    defective = np.array([False] * len(good) + [True] * len(bad))
    no = np.zeros(len(scores), np.bool_)
    return ImageScores(
        ("anomaly",), top[:, None], defective[:, None], ~defective, no, np.arange(len(scores)) < foreign
    )


def points(
    found: ImageScores, *, escape: float = 0.0, overkill: float = 0.0, own: float = 0.5
) -> dict[str, Any]:
    weights = resample(len(found.top), 30)
    return anomaly_points(found, weights, escape_rate=escape, overkill_rate=overkill, own=own, floor=FLOOR)


def served(score: float) -> float:
    return round(score, 4)


@FEW
@given(SCORES, RATES)
def test_at_the_overkill_point_no_more_than_the_wanted_share_of_good_images_fails(good, rate):
    point = points(images(good, []), overkill=rate)["overkill"]
    if point is None:
        assert sum(score > 0.9997 for score in good) > rate * len(good)
        return
    failing = sum(served(score) >= point["score"] for score in good)
    assert failing <= rate * len(good) + 1e-9
    assert point["overkill_rate"]["value"] <= rate + 1e-9
    lower = point["score"] - 3e-4
    if lower > FLOOR:
        assert sum(score >= lower for score in good) > rate * len(good) - 1e-9


@FEW
@given(SCORES, RATES)
def test_at_the_escape_point_no_more_than_the_wanted_share_of_defective_images_passes(bad, rate):
    point = points(images([], bad), escape=rate)["escape"]
    assert sum(served(score) < point["score"] for score in bad) <= rate * len(bad) + 1e-9
    assert point["escape_rate"]["value"] <= rate + 1e-9


@FEW
@given(SCORES, SCORES)
def test_every_point_has_the_form_of_a_detectors_point(good, bad):
    found = points(images(good, bad))
    assert set(found) == {"best_f1", "escape", "lowest_escape_rate", "overkill", "card"}
    for name in ("best_f1", "escape", "overkill", "card"):
        if found[name]:
            assert set(found[name]) == POINT
            low, high = found[name]["score_interval"]
            assert low <= found[name]["score"] <= high
    assert found["card"]["score"] == 0.5


def test_precision_and_recall_are_over_images():
    point = points(images([0.2, 0.7, 0.3], [0.8, 0.6, 0.1]))["card"]
    assert (point["precision"], point["recall"]) == (
        pytest.approx(2 / 3, abs=1e-4),
        pytest.approx(2 / 3, abs=1e-4),
    )
    assert point["overkill_rate"]["count"] == 1
    assert point["escape_rate"]["count"] == 1


def test_good_images_alone_give_the_overkill_point_and_what_is_between_it_and_the_models_own_is_reviewed():
    good = [0.06, 0.1, 0.2, 0.3]
    found = points(images(good, []))
    assert (found["best_f1"], found["escape"], found["lowest_escape_rate"]) == (None, None, None)
    assert found["overkill"]["score"] == pytest.approx(0.3, abs=3e-4)
    document = rules_document({"anomaly": found}, "v", FLOOR)
    rule = Rules.model_validate(document).rule("any line", "anomaly")
    assert (rule.review_score, rule.fail_score) == (found["overkill"]["score"], 0.5)
    worse = rules_document({"anomaly": points(images([0.9, *good], []))}, "v", FLOOR)
    rule = Rules.model_validate(worse).rule("any line", "anomaly")
    assert (rule.review_score, rule.fail_score) == (0.5, pytest.approx(0.9, abs=3e-4))


def test_defective_images_decide_the_rules_as_those_of_a_class_do():
    found = points(images([0.1, 0.4, 0.5], [0.3, 0.8, 0.9]))
    document = rules_document({"anomaly": found}, "v", FLOOR)
    assert document["classes"] == {"anomaly": {"fail_score": 0.8, "review_score": 0.3}}


def test_the_models_own_threshold_holds_between_good_and_defective_images_that_are_far_apart():
    found = points(images([0.05, 0.1], [0.99, 0.995]), own=0.5)
    assert found["best_f1"]["score"] > 0.98
    document = rules_document({"anomaly": found}, "v", FLOOR)
    assert document["classes"] == {"anomaly": {"fail_score": 0.5, "review_score": 0.5}}
    # It would fail a good image that the others let pass.
    found = points(images([0.05, 0.6], [0.99, 0.995]), own=0.5)
    document = rules_document({"anomaly": found}, "v", FLOOR)
    assert min(document["classes"]["anomaly"].values()) > 0.98


def test_an_image_of_another_product_goes_to_review():
    found = images([0.0, 0.1], [0.0, 0.9], foreign=1)
    document = {"default": {"fail_score": 0.5, "review_score": 0.3}, "classes": {}}
    rates = verdict_rates(found, document, resample(4, 10))
    assert rates["review_rate"]["count"] == 1
    assert rates["overkill_rate"]["count"] == 0
    assert rates["escape_rate"]["count"] == 1


def test_a_threshold_that_no_score_can_pass_is_out_of_reach():
    assert points(images([1.0, 1.0], [1.0]))["overkill"] is None
    assert points(images([0.0, 0.01], [0.6]))["overkill"]["score"] == FLOOR
    assert points(images([0.1], [0.0, 0.01]))["escape"] is None

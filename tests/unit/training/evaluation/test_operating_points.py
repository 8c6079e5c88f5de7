"""Operating points, and the rules made of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.inspections import Verdict
from inspection.detector import Detection
from inspection.rules import Rules, judge
from training.evaluation.bootstrap import resample
from training.evaluation.metrics import Matches
from training.evaluation.operating_points import (
    ImageScores,
    as_served,
    escape_threshold,
    operating_points,
    rules_document,
    sweep,
    verdict_rates,
)
from training.model.decoding import Detections, Postprocess

LABELS = ("crack", "dent")
scores = st.lists(st.integers(0, 10_000).map(lambda n: n / 10_000), min_size=1, max_size=40)
rates = st.floats(0, 0.99)


def image_scores(top, present, unlocated=None) -> ImageScores:
    present = np.array(present, bool)
    unlocated = np.zeros(len(present), bool) if unlocated is None else np.array(unlocated)
    return ImageScores(LABELS, np.array(top, float), present, ~present.any(axis=1) & ~unlocated, unlocated)


def matches(images: ImageScores) -> list[Matches]:
    """One hit on every image that contains and shows the class, one false detection on every other that shows it."""
    result = []
    for column, label in enumerate(LABELS):
        where = np.flatnonzero(images.top[:, column])
        where = where[np.argsort(-images.top[where, column], kind="stable")]
        hits = np.repeat(images.present[where, column][None], 10, axis=0)
        objects = images.present[:, column].astype(np.int64)
        result.append(Matches(label, where, images.top[where, column], hits, objects))
    return result


@given(scores, rates)
def test_no_more_escape_than_wanted_and_no_higher_threshold_would_do(top, wanted):
    threshold = escape_threshold(np.array(top), wanted)
    allowed = int(wanted * len(top) + 1e-9)
    if threshold is None:
        assert sum(score == 0 for score in top) > allowed
        return
    assert sum(score < threshold for score in top) <= allowed
    assert sum(score < threshold + 1e-4 for score in top) > allowed


@given(scores, rates, rates)
def test_the_threshold_falls_as_fewer_may_escape(top, one, other):
    few, many = sorted((one, other))
    assert (escape_threshold(np.array(top), few) or 0) <= (escape_threshold(np.array(top), many) or 0)


@given(scores)
def test_escapes_rise_and_alarms_fall_with_the_threshold(top):
    images = image_scores(
        [[score, score] for score in top], [[index % 2 == 0, False] for index in range(len(top))]
    )
    curve = sweep(images, 0)
    assert curve["escape"] == sorted(curve["escape"])
    assert curve["escape"][0] == np.mean([score == 0 for score in top[::2]])
    for name in ("overkill", "false_alarm"):
        assert curve[name] is None or curve[name] == sorted(curve[name], reverse=True)


def test_good_images_count_for_overkill_and_tagged_ones_are_not_good():
    top = [[0.9, 0], [0.8, 0], [0.6, 0], [0.2, 0], [0.7, 0]]
    present = [[1, 0], [1, 0], [0, 0], [0, 0], [0, 0]]
    images = image_scores(top, present, unlocated=[False, False, False, False, True])
    point = operating_points(images, matches(images), resample(5), 0.0)["crack"]["escape"]
    assert point["score"] == 0.8
    lower = replace(images, top=images.top * [[1, 1], [0.625, 1], [1, 1], [1, 1], [1, 1]])
    point = operating_points(lower, matches(lower), resample(5), 0.0)["crack"]["escape"]
    assert point["score"] == 0.5
    assert (point["overkill_rate"]["count"], point["overkill_rate"]["of"]) == (1, 2)
    assert (point["false_alarm_rate"]["count"], point["false_alarm_rate"]["of"]) == (1, 2)
    assert point["escape_rate"]["value"] == 0


def test_without_good_images_overkill_is_none_and_false_alarms_are_counted_over_other_defects():
    images = image_scores([[0.9, 0.4], [0, 0.6]], [[1, 0], [0, 1]])
    points = operating_points(images, matches(images), resample(2), 0.0)
    assert points["dent"]["escape"]["overkill_rate"] is None
    assert points["dent"]["escape"]["false_alarm_rate"]["of"] == 1
    assert verdict_rates(images, rules_document(points, "1", 0.05), resample(2))["overkill_rate"] is None


def test_a_class_absent_from_the_images_has_no_points_and_one_never_found_says_how_many_escape():
    images = image_scores([[0, 0], [0, 0]], [[1, 0], [1, 0]])
    points = operating_points(images, matches(images), resample(2), 0.02)
    assert points["dent"] == {"best_f1": None, "escape": None, "lowest_escape_rate": None}
    assert points["crack"]["escape"] is None
    assert points["crack"]["lowest_escape_rate"]["value"] == 1
    json.dumps(points, allow_nan=False)


@given(
    st.lists(st.tuples(*[st.integers(0, 9999)] * 2, st.booleans(), st.booleans()), min_size=1, max_size=20),
    rates,
)
def test_the_inspection_reads_the_rules_and_decides_as_the_report_expects(images, wanted):
    scored = image_scores([(a / 1e4, b / 1e4) for a, b, *_ in images], [image[2:] for image in images])
    points = operating_points(scored, matches(scored), resample(len(images), 20), wanted)
    document = rules_document(points, "model-abc-escape-0.02", 0.05)

    parsed = Rules.model_validate_json(json.dumps(document))

    decided = [
        judge(
            parsed,
            "line-1",
            [
                Detection(label=label, score=score, box=(0, 0, 9, 9))
                for label, score in zip(LABELS, row, strict=True)
                if score
            ],
        ).verdict
        for row in scored.top
    ]
    expected = verdict_rates(scored, document, resample(len(images), 20))
    assert expected["fail_rate"]["count"] == decided.count(Verdict.FAIL)
    assert expected["review_rate"]["count"] == decided.count(Verdict.REVIEW)
    if expected["escape_rate"]:
        passed = [verdict == Verdict.PASS for verdict in decided]
        assert expected["escape_rate"]["count"] == sum(np.array(passed) & ~scored.good)


def test_rules_review_from_the_floor_where_the_wanted_rate_is_out_of_reach():
    images = image_scores([[0.9, 0], [0.8, 0], [0, 0]], [[1, 0], [1, 0], [1, 0]])
    points = operating_points(images, matches(images), resample(3), 0.0)
    assert rules_document(points, "v" * 99, 0.05)["classes"] == {
        "crack": {"fail_score": 0.8, "review_score": 0.05}
    }
    assert len(rules_document(points, "v" * 99, 0.05)["version"]) == 64


def test_only_what_the_endpoint_would_return_counts():
    boxes = np.zeros((3, 4), np.float32)
    detections = Detections(boxes, np.array([0.9, 0.5, 0.04], np.float32), np.array([0, 1, 0]))
    assert as_served(detections, Postprocess()).scores.tolist() == pytest.approx([0.9, 0.5])
    assert len(as_served(detections, Postprocess(detections=1)).scores) == 1

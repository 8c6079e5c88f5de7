"""Raw output becomes detections: suppression, voting, limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.model.decoding import Postprocess, detections, iou

ALL = Postprocess(score_threshold=0.05, nms_iou=0.5, candidates=10, detections=5)


def raw(seed: int, anchors: int = 40, classes: int = 3):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 0.7, (anchors, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.02, 0.3, (anchors, 2))], axis=1)
    return boxes.astype(np.float32), rng.uniform(0, 1, (anchors, classes)).astype(np.float32)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=50)
def test_detections_are_sorted_limited_and_overlap_little_within_a_class(seed):
    result = detections(*raw(seed), ALL)

    assert len(result.scores) <= ALL.detections
    assert (np.diff(np.round(result.scores, 4)) <= 0).all()
    for label in set(result.classes.tolist()):
        boxes = result.boxes[result.classes == label]
        overlaps = iou(boxes, boxes)
        assert overlaps[~np.eye(len(boxes), dtype=bool)].max(initial=0) <= ALL.nms_iou


def test_boxes_of_different_classes_do_not_suppress_each_other():
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.float32)
    scores = np.array([[0.9, 0.0], [0.0, 0.8]], np.float32)
    assert detections(boxes, scores, ALL).classes.tolist() == [0, 1]


def test_a_family_without_suppression_keeps_overlapping_boxes():
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9]], np.float32)
    scores = np.array([[0.9], [0.8]], np.float32)
    assert len(detections(boxes, scores, Postprocess(nms_iou=None)).scores) == 2


VOTED = replace(ALL, voting=0.025)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=50)
def test_voting_moves_boxes_within_those_around_them_and_nothing_else(seed):
    boxes, scores = raw(seed)
    voted, alone = detections(boxes, scores, VOTED), detections(boxes, scores, ALL)

    assert np.array_equal(voted.scores, alone.scores)
    assert np.array_equal(voted.classes, alone.classes)
    for box, before in zip(voted.boxes, alone.boxes, strict=True):
        around = boxes[iou(before[None], boxes)[0] > 0]
        assert (box >= around.min(0) - 1e-6).all()
        assert (box <= around.max(0) + 1e-6).all()


def test_a_box_becomes_the_mean_of_those_around_it_by_score_and_overlap():
    boxes = np.array([[0, 0, 0.5, 1], [0, 0, 0.4, 1], [0.8, 0, 1, 1]], np.float32)
    near = 0.6 * np.exp(-(0.2**2) / 0.025)  # an IoU of 0.8; the third box has none of it
    result = detections(boxes, np.array([[0.9], [0.6], [0.8]], np.float32), VOTED)

    assert result.boxes.round(4).tolist()[0] == pytest.approx(
        [0, 0, (0.9 * 0.5 + near * 0.4) / (0.9 + near), 1], abs=1e-4
    )
    assert result.boxes[1].tolist() == pytest.approx([0.8, 0, 1, 1])


@pytest.mark.parametrize("threshold", [0.001, 0.05, 0.3])
def test_the_same_boxes_vote_at_any_score_threshold(threshold):
    boxes = np.array([[0, 0, 0.5, 1], [0, 0, 0.45, 1], [0, 0, 0.46, 1]], np.float32)
    scores = np.array([[0.9], [0.2], [0.04]], np.float32)
    shown = detections(boxes, scores, replace(VOTED, score_threshold=threshold))

    assert shown.scores.tolist() == pytest.approx([0.9])
    assert shown.boxes.tolist() == detections(boxes[:2], scores[:2], VOTED).boxes.tolist()


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_detections_are_the_same_to_the_last_bit_whether_weaker_boxes_are_kept_or_not(seed):
    boxes, scores = raw(seed, anchors=300)
    postprocess = replace(VOTED, candidates=300, detections=100)
    shown, all_found = (
        detections(boxes, scores**6, replace(postprocess, score_threshold=threshold))
        for threshold in (0.05, 0.001)
    )
    for mine, theirs in zip((shown.boxes, shown.scores), (all_found.boxes, all_found.scores), strict=True):
        assert np.array_equal(mine, theirs[: len(mine)])


def test_nothing_above_the_threshold_gives_no_detections():
    boxes, scores = raw(0)
    result = detections(boxes, scores * 0, ALL)
    assert result.boxes.shape == (0, 4)
    assert result.scores.shape == (0,)


def test_boxes_are_clipped_to_the_image():
    result = detections(np.array([[-0.5, -1, 1.5, 2]], np.float32), np.array([[0.9]], np.float32), ALL)
    assert result.boxes.tolist() == [[0, 0, 1, 1]]


def test_a_batch_equals_its_singles(starter):
    rng = np.random.default_rng(1)
    size = starter.card.input_size
    images = [rng.integers(0, 255, (size, size, 3), dtype=np.uint8) for _ in range(3)]
    postprocess = Postprocess(score_threshold=0.01)

    together = starter.detect(images, postprocess)
    for image, batched in zip(images, together, strict=True):
        (alone,) = starter.detect([image], postprocess)
        assert np.array_equal(alone.classes, batched.classes)
        assert np.allclose(alone.scores, batched.scores, atol=1e-4)
        assert np.allclose(alone.boxes, batched.boxes, atol=1e-3)

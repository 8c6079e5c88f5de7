"""The outcome of each object and each detection, and the images with the worst outcomes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.datasets import Object, Sample
from training.evaluation.metrics import ImageDetections
from training.evaluation.outcomes import confusion, outcomes, worst

LABELS = ("crack", "dent")


def scene(*objects):
    return Sample("a", "0" * 64, 100, 100, tuple(Object(label, box) for label, box in objects))


def detected(*rows):
    return ImageDetections(
        np.array([box for _, box, _ in rows], np.float32).reshape(-1, 4),
        np.array([score for *_, score in rows], float),
        np.array([LABELS.index(label) for label, *_ in rows], np.int64),
    )


def kinds_of(sample, detections):
    return [outcome.kind for outcome in outcomes(sample, detections, LABELS)]


BOX, HALF, FAR = (10, 10, 50, 50), (10, 10, 50, 25), (70, 70, 90, 90)


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        ([], ["missed"]),
        ([("crack", BOX, 0.9)], ["right"]),
        ([("dent", BOX, 0.9)], ["wrong class"]),
        ([("crack", HALF, 0.9)], ["badly placed"]),
        ([("crack", FAR, 0.9)], ["false alarm", "missed"]),
        ([("dent", HALF, 0.9)], ["false alarm", "missed"]),
        ([("crack", BOX, 0.9), ("crack", (11, 11, 50, 50), 0.8)], ["right", "duplicate"]),
        ([("dent", BOX, 0.9), ("crack", (12, 12, 50, 50), 0.3)], ["right", "false alarm"]),
    ],
)
def test_each_object_and_detection_gets_its_kind(found, kinds):
    assert sorted(kinds_of(scene(("crack", BOX)), detected(*found))) == sorted(kinds)


def test_a_good_image_has_false_alarms_only():
    assert kinds_of(scene(), detected(("dent", BOX, 0.7))) == ["false alarm"]
    assert kinds_of(scene(), detected()) == []


boxes = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from([BOX, HALF, FAR])), max_size=4)


@given(boxes, boxes)
def test_the_confusion_matrix_counts_every_object_and_every_detection_once(objects, found):
    result = outcomes(scene(*objects), detected(*((label, box, 0.5) for label, box in found)), LABELS)
    counts = confusion([result], 2)
    for column, label in enumerate(LABELS):
        assert counts[column].sum() == sum(name == label for name, _ in objects)
        assert counts[:, column].sum() == sum(name == label for name, _ in found)
    assert counts[2, 2] == 0


def test_the_worst_images_come_from_every_kind_of_error_in_turn():
    missed = outcomes(scene(("crack", BOX)), detected(), LABELS)
    alarm = outcomes(scene(), detected(("dent", BOX, 0.4)), LABELS)
    right = outcomes(scene(("crack", BOX)), detected(("crack", BOX, 0.4)), LABELS)
    assert worst([right, missed, missed, alarm], 2) == [1, 3]
    assert worst([right, missed, missed, alarm], 9) == [1, 3, 2]

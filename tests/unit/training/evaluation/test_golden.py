"""The golden set: what a live endpoint must find again, image by image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.detector import Detection
from training.datasets import Dataset, Object, Sample
from training.datasets.storage.uris import ImagesByUri
from training.evaluation.detection import for_metrics
from training.evaluation.golden import IMAGES, golden_set
from training.evaluation.operating_points import as_served
from training.model.artefact import ModelCard
from training.model.decoding import Detections, Postprocess, detections, to_json

LABELS = ("crack", "dent")
CARD = ModelCard("steel", "ssdlite", LABELS, 320, {"mean": [0.0] * 3, "std": [1.0] * 3}, Postprocess(0.05))
NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


def dataset(count: int, width: int = 200, height: int = 100) -> Dataset:
    samples = tuple(Sample(f"{n}.png", f"{n:064x}", width, height, ()) for n in range(count))
    return Dataset(ImagesByUri({s.name: f"s3://artefacts/images/{s.name}" for s in samples}), LABELS, samples)


def scored(*pairs: tuple[float, int]) -> Detections:
    """Detections of these scores and classes, best first."""
    boxes = np.tile(np.array([[0.1, 0.2, 0.5, 0.6]], np.float32), (len(pairs), 1))
    return Detections(
        boxes.reshape(-1, 4),
        np.array([score for score, _ in pairs], np.float32),
        np.array([label for _, label in pairs], np.int64),
    )


def golden(card: ModelCard, images: Dataset, results: Sequence[Detections]) -> list[dict[str, Any]]:
    """The golden set of a detector, from the detections that the metrics keep."""

    def answer(index: int) -> list[dict[str, Any]]:
        sample = images.samples[index]
        served = as_served(results[index], card.postprocess)
        return to_json(served, card.labels, sample.width, sample.height)

    return golden_set(images, answer, anomalies=False)


@given(st.integers(1, 300))
def test_there_are_a_dozen_images_or_all_of_a_smaller_set_and_each_once(count):
    documents = golden(CARD, dataset(count), [NOTHING] * count)
    uris = [document["uri"] for document in documents]
    assert len(uris) == min(count, IMAGES)
    assert len(set(uris)) == len(uris)
    assert set(uris) <= {f"s3://artefacts/images/{n}.png" for n in range(count)}


@pytest.mark.parametrize("count", [13, 23, 35, 120, 287, 1_000])
def test_a_large_set_is_sampled_at_even_steps(count):
    documents = golden(CARD, dataset(count), [NOTHING] * count)
    places = [int(document["uri"].rpartition("/")[2].removesuffix(".png")) for document in documents]
    steps = [b - a for a, b in pairwise(places)]
    assert max(steps) - min(steps) <= 1
    assert places[-1] - places[0] >= 0.8 * count


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_half_of_a_set_shows_labelled_defects_however_rare_they_are(defective):
    whole = dataset(len(defective))
    dent = (Object("dent", (0.0, 0.0, 9.0, 9.0)),)
    samples = [
        replace(sample, objects=dent if has else ())
        for sample, has in zip(whole.samples, defective, strict=True)
    ]
    documents = golden(CARD, replace(whole, samples=tuple(samples)), [NOTHING] * len(samples))
    assert len(documents) == min(len(samples), IMAGES)
    shown = sum(document["labels"] == ["dent"] for document in documents)
    assert shown >= min(sum(defective), IMAGES // 2)
    assert len(documents) - shown >= min(len(samples) - sum(defective), IMAGES // 2)


def test_a_defect_without_a_box_is_golden_for_a_model_that_judges_whole_images():
    good, broken = (
        replace(dataset(2).samples[0], tags=("good",)),
        replace(dataset(2).samples[1], tags=("broken",)),
    )
    images = replace(dataset(2), samples=(good, broken))
    for anomalies, labels in ((True, [[], ["anomaly"]]), (False, [[], []])):
        documents = golden_set(images, lambda _: [], anomalies=anomalies)
        assert [document["labels"] for document in documents] == labels


def test_an_empty_set_is_empty():
    assert golden(CARD, dataset(0), []) == []


def test_each_image_has_its_own_detections_in_pixels_of_the_upright_image():
    results = [scored((0.9, n % 2)) for n in range(5)]
    documents = golden(CARD, dataset(5), results)
    assert [document["detections"][0]["label"] for document in documents] == ["crack", "dent"] * 2 + ["crack"]
    (first,) = documents[0]["detections"]
    assert first == {"label": "crack", "score": 0.9, "box": [20.0, 20.0, 100.0, 60.0]}


def test_detections_that_only_the_metrics_keep_are_left_out():
    card = replace(CARD, postprocess=Postprocess(0.3, detections=2))
    (document,) = golden(card, dataset(1), [scored((0.9, 0), (0.8, 1), (0.7, 1), (0.2, 0))])
    assert [detection["score"] for detection in document["detections"]] == [0.9, 0.8]


raw = st.integers(0, 12).flatmap(
    lambda anchors: st.tuples(
        st.lists(
            st.lists(st.floats(0, 0.5, width=32), min_size=4, max_size=4), min_size=anchors, max_size=anchors
        ),
        st.lists(
            st.lists(st.floats(0, 1, width=32), min_size=2, max_size=2), min_size=anchors, max_size=anchors
        ),
    )
)


@given(
    raw,
    st.sampled_from([0.05, 0.3, 0.5]),
    st.sampled_from([(None, None), (0.55, None), (0.55, 0.025)]),
    st.sampled_from([3, 100]),
)
def test_it_equals_the_endpoints_answer_for_the_same_raw_output(output, threshold, overlap, most):
    """The evaluation decodes with weak detections kept, the container without: both must come to the same."""
    boxes = np.array(output[0], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    scores = np.array(output[1], np.float32).reshape(-1, 2)
    nms_iou, voting = overlap
    postprocess = Postprocess(threshold, nms_iou, detections=most, voting=voting)
    result = detections(boxes, scores, for_metrics(postprocess))
    (document,) = golden(replace(CARD, postprocess=postprocess), dataset(1), [result])
    assert document["detections"] == to_json(detections(boxes, scores, postprocess), LABELS, 200, 100)


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.integers(0, 1)), max_size=30))
def test_the_smoke_test_can_read_every_detection_from_json(pairs):
    (document,) = golden(CARD, dataset(1), [scored(*sorted(pairs, reverse=True))])
    for detection in json.loads(json.dumps(document, allow_nan=False))["detections"]:
        Detection.model_validate(detection)

"""Labels that are shifted against the boxes of a model: the offset is found, and its boxes are shifted by it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.datasets import Dataset, open_dataset
from training.datasets.generated.synthetic import generate
from training.evaluation import box_offset as measuring
from training.evaluation import detection
from training.evaluation.box_offset import box_offset
from training.evaluation.detection import evaluate
from training.model.artefact import CARD, ArtefactError, read_card
from training.model.decoding import Detections, shift_boxes
from training.model.models import placed
from training.model.onnx_model import OnnxModel
from training.model.pixels import Picture

SIZE = 160


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    root = tmp_path_factory.mktemp("data")
    generate(root, 48, seed=92, size=SIZE)
    return open_dataset(root)


@pytest.fixture(autouse=True, scope="module")
def each_model_sees_the_images_once():
    """What a model finds does not depend on the labels, which the tests shift."""
    found: dict[tuple[str, tuple[str, ...]], list[Detections]] = {}
    detect = detection.detect

    def cached(model, dataset):
        images = model.card.version, tuple(sample.sha256 for sample in dataset.samples)
        if images not in found:
            found[images] = detect(model, dataset)
        return found[images]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detection, "detect", cached)
        patch.setattr(measuring, "detect", cached)
        yield


def with_shifted_labels(data: Dataset, right: float, down: float) -> Dataset:
    step = np.array([right, down] * 2)
    samples = [
        replace(
            sample,
            objects=tuple(
                replace(labelled, box=tuple(np.clip(np.array(labelled.box) + step, 0, SIZE).tolist()))
                for labelled in sample.objects
            ),
        )
        for sample in data.samples
    ]
    return replace(data, samples=tuple(samples))


def test_an_offset_of_the_labels_is_found(starter, data):
    usual = box_offset(starter, data)
    offset = box_offset(starter, with_shifted_labels(data, 3, -2))
    assert np.subtract(offset, usual) == pytest.approx((3, -2), abs=0.8)
    assert np.abs(usual).max() < 1.2  # generated labels lie where the defects do


def test_too_few_objects_show_no_offset(starter, data):
    few = replace(with_shifted_labels(data, 3, 3), samples=with_shifted_labels(data, 3, 3).samples[:4])
    assert box_offset(starter, few) == (0, 0)


def test_a_class_that_the_model_does_not_know_shows_no_offset(starter, data):
    strange = replace(
        data,
        labels=(*data.labels, "dent"),
        samples=tuple(
            replace(sample, objects=tuple(replace(o, label="dent") for o in sample.objects))
            for sample in data.samples
        ),
    )
    assert box_offset(starter, strange) == (0, 0)


@pytest.fixture
def model(starter_folder, tmp_path) -> OnnxModel:
    """The starter model with its boxes moved as far as the labels of the tests."""
    folder = Path(shutil.copytree(starter_folder, tmp_path / "model"))
    replace(read_card(folder), box_offset=(4.0, 4.0)).write(folder)
    return OnnxModel(folder, threads=1)


def test_boxes_that_are_shifted_to_their_labels_score_better(starter, model, data):
    apart = with_shifted_labels(data, 4, 4)
    assert evaluate(model, apart).map75 > evaluate(starter, apart).map75 + 0.1


def test_the_endpoint_shifts_a_box_as_the_evaluation_does(model):
    detections = Detections(
        np.array([[0.2, 0.2, 0.5, 0.5]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)
    )
    picture = Picture(np.zeros((8, 8, 3), np.uint8), 100, 200, "PNG")
    assert placed(model.card, picture, detections)[0]["box"] == [24, 44, 54, 104]


@given(
    arrays(np.float32, (5, 4), elements=st.floats(0, 1, width=32)),
    st.tuples(*[st.floats(-3, 3) for _ in range(2)]),
)
def test_a_shifted_box_stays_in_the_picture_and_an_edge_at_its_border_stays(boxes, offset):
    detections = Detections(boxes, np.ones(5, np.float32), np.zeros(5, np.int64))
    after = shift_boxes(detections, offset, 100, 50).boxes
    assert after.min() >= -1e-6
    assert after.max() <= 1 + 1e-6
    assert (after[boxes == 0] == 0).all()
    assert (after[boxes == 1] == 1).all()
    steps = np.abs(after - boxes)
    expected = np.abs(np.array([*offset, *offset]) / [100, 50, 100, 50])
    assert (np.isclose(steps, expected, atol=1e-6) | (steps == 0)).all()


def test_a_model_with_an_offset_is_another_version(starter, model):
    assert model.card.onnx_sha256 == starter.card.onnx_sha256
    assert model.card.version != starter.card.version
    assert replace(model.card, box_offset=(0.0, 0.0)).version == starter.card.version
    assert replace(model.card, box_offset=(4.0, 3.9)).version != model.card.version


@pytest.mark.parametrize("offset", [None, 1, [1], ["a", 0], [1, 2, 3]])
def test_an_invalid_offset_is_refused(model, tmp_path, offset):
    card = tmp_path / "model" / CARD
    card.write_text(json.dumps(json.loads(card.read_text()) | {"box_offset": offset}))
    with pytest.raises(ArtefactError, match=r"is not a model card of this version"):
        read_card(tmp_path / "model")

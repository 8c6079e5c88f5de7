"""The pictures that a model carries, and must find again before it goes live."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.training.model.anomaly_models import SIZE, anomaly_folder, grey
from training.datasets import Dataset, open_dataset
from training.datasets.generated.synthetic import generate
from training.learning.golden_pictures import golden_anomalies, golden_pictures
from training.model.anomaly import AnomalyModel
from training.model.decoding import Postprocess
from training.model.golden import finds
from training.model.models import Models
from training.model.onnx_model import OnnxModel


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("data")
    generate(root, 12, seed=91, size=200)
    return open_dataset(root)


@pytest.fixture
def model(starter: OnnxModel, monkeypatch: pytest.MonkeyPatch) -> OnnxModel:
    """The starter model, whose card a test may change."""
    monkeypatch.setattr(starter, "card", starter.card)
    return starter


def _models(model: OnnxModel) -> Models:
    return Models(model, None, model.card)


def test_they_show_labelled_defects_that_the_model_finds(model: OnnxModel, data: Dataset) -> None:
    pictures = golden_pictures(model, data)
    assert len(pictures) == 4
    assert len({picture["picture"] for picture in pictures}) == 4
    for picture in pictures:
        assert set(picture["labels"]) <= set(model.card.labels)
        assert finds(_models(model), base64.b64decode(picture["picture"]), picture["labels"])


def test_a_model_that_finds_nothing_carries_what_it_does_not_find(model: OnnxModel, data: Dataset) -> None:
    model.card = replace(model.card, postprocess=Postprocess(0.9999))
    pictures = golden_pictures(model, data)
    assert len(pictures) == 4
    assert not any(
        finds(Models(model, None, model.card), base64.b64decode(p["picture"]), p["labels"]) for p in pictures
    )


def test_without_defects_there_are_none(model: OnnxModel, data: Dataset) -> None:
    good = tuple(replace(sample, objects=()) for sample in data.samples)
    assert golden_pictures(model, replace(data, samples=good)) == []


def test_those_of_an_anomaly_model_show_bad_products_that_it_finds(tmp_path: Path) -> None:
    model = AnomalyModel(anomaly_folder(tmp_path), threads=1)
    bad = [grey(), *(grey(SIZE, (row, 1), (row, 2)) for row in range(7)), grey()]
    pictures = golden_anomalies(model, range(len(bad)), bad.__getitem__)
    assert len(pictures) == 4
    for picture in pictures:
        assert picture["labels"] == ["anomaly"]
        assert finds(Models(None, model, model.card), base64.b64decode(picture["picture"]), ["anomaly"])
    assert len(golden_anomalies(model, range(1), bad.__getitem__)) == 1
    assert golden_anomalies(model, range(0), bad.__getitem__) == []

"""Whatever an artefact contains is loaded, looks at a picture, and is measured by one call."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.training.model.anomaly_models import (
    SIZE,
    anomaly_folder,
    as_png,
    both_folder,
    detector_folder,
    grey,
)
from training.evaluation import latency
from training.model.models import decode_for, findings, load, look

SPOTTED = as_png(grey(SIZE, (2, 3), (2, 4)))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    anomaly, detector = anomaly_folder(root / "anomaly"), detector_folder(root / "detector", input_size=32)
    return {"anomaly": anomaly, "detector": detector, "both": both_folder(root / "both", detector, anomaly)}


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("anomaly", [(None, "anomaly")]),
        ("detector", [(None, "bright")]),
        ("both", [("brightness", "bright"), ("grey", "anomaly")]),
    ],
)
def test_each_model_that_is_there_says_what_it_sees(folders, kind, labels):
    models = load(folders[kind], threads=1)
    views = decode_for(models, SPOTTED)
    detections, judgement = look(models, views)
    assert (detections is None, judgement is None) == (models.detector is None, models.anomaly is None)
    found = findings(models, views.picture, detections, judgement)
    assert sorted((each.get("model"), each["label"]) for each in found) == labels
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)


def test_each_model_sees_the_picture_at_its_own_size(folders):
    views = decode_for(load(folders["both"], threads=1), SPOTTED)
    assert views.picture.pixels.shape == (32, 32, 3)
    assert np.array_equal(views.anomaly, grey(SIZE, (2, 3), (2, 4)))


@pytest.mark.parametrize("kind", ["anomaly", "detector", "both"])
def test_the_latency_of_every_kind_is_measured(folders, kind):
    speed = latency.measure(load(folders[kind], threads=1), _Pictures())
    assert 0 < speed["decode_p50_ms"] < speed["p50_ms"] <= speed["p95_ms"]
    assert speed["provider"] == "CPUExecutionProvider"


class _Pictures:
    """As much of a data set as the measurement needs."""

    samples = ("spotted",) * 3

    def read(self, _):
        return SPOTTED

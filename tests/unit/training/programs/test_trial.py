"""Whether a model finds defects, asked before it goes live, for every kind of artefact."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from tests.unit.training.model.anomaly_models import (
    SIZE,
    anomaly_folder,
    as_png,
    both_folder,
    detector_folder,
    graph,
    grey,
)
from training.job.errors import TrainingError
from training.model.artefact import pack
from training.trial import ask

GOOD, SPOTTED = as_png(grey()), as_png(grey(SIZE, (2, 3), (2, 4)))


def golden(*images):
    return [{"picture": base64.b64encode(image).decode(), "labels": ["anomaly"]} for image in images]


def test_an_anomaly_model_finds_what_is_unusual_on_its_own_pictures_and_on_others(tmp_path):
    folder = anomaly_folder(tmp_path / "grey", golden=golden(SPOTTED, GOOD))
    archive = pack(folder, tmp_path / "model.tar.gz")
    assert ask(archive, []) == {"pictures": 2, "found": 1}
    (tmp_path / "good.png").write_bytes(GOOD)
    (tmp_path / "spotted.png").write_bytes(SPOTTED)
    files = [tmp_path / name for name in ("good.png", "spotted.png", "spotted.png")]
    assert ask(archive, files) == {"pictures": 3, "found": 2}


def test_its_own_operating_point_decides_what_it_finds(tmp_path):
    weak = as_png(grey(SIZE, (2, 3), (2, 4), (5, 5), (6, 6), level=155))
    for point, found in ((0.05, 1), (0.9, 0)):
        folder = anomaly_folder(
            tmp_path / str(point), golden=golden(weak), operating_points={"anomaly": {"score": point}}
        )
        assert ask(pack(folder, tmp_path / "model.tar.gz"), [])["found"] == found


def test_another_product_is_no_defect_that_was_found(tmp_path):
    white = as_png(np.full((SIZE, SIZE, 3), 255, np.uint8))
    archive = pack(anomaly_folder(tmp_path / "grey", golden=golden(white)), tmp_path / "model.tar.gz")
    assert ask(archive, []) == {"pictures": 1, "found": 0}


def test_both_models_are_asked_about_the_pictures_of_each(tmp_path):
    bright = golden(as_png(np.full((SIZE, SIZE, 3), 200, np.uint8)))[0] | {"labels": ["bright"]}
    # The detector's card repeats one of them, as it does after the two were packed together.
    detector = detector_folder(tmp_path / "bright", golden=[bright, *golden(SPOTTED)])
    anomaly = anomaly_folder(tmp_path / "grey", golden=golden(SPOTTED, GOOD))
    both = both_folder(tmp_path / "both", detector, anomaly)
    assert ask(pack(both, tmp_path / "model.tar.gz"), []) == {"pictures": 3, "found": 2}


def test_distances_that_are_no_numbers_are_a_problem(tmp_path):
    folder = anomaly_folder(tmp_path / "grey", graph(factor=float("nan")), golden=golden(SPOTTED))
    with pytest.raises(TrainingError, match="no number from 0 on"):
        ask(pack(folder, tmp_path / "model.tar.gz"), [])

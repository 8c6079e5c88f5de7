"""Evaluation measures what is served, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from training.datasets import open_dataset
from training.datasets.synthetic import generate
from training.decoding import Detections
from training.evaluate import main
from training.metrics import score

ROOT = Path(__file__).parents[3]
STARTER = ROOT / "models/starter/model.tar.gz"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    generate(root, 24, seed=77)
    return root


def perfect(dataset):
    for sample in dataset.samples:
        scale = np.array([sample.width, sample.height, sample.width, sample.height], np.float32)
        boxes = np.array([each.box for each in sample.objects], np.float32).reshape(-1, 4) / scale
        classes = np.array([dataset.labels.index(each.label) for each in sample.objects], np.int64)
        yield Detections(boxes, np.full(len(classes), 0.9, np.float32), classes)


def test_the_truth_itself_scores_one(data):
    dataset = open_dataset(data)
    scores = score(dataset, list(perfect(dataset)), dataset.labels)
    assert scores.map == pytest.approx(1)
    assert scores.map50 == pytest.approx(1)
    assert scores.images == 24
    assert {point["f1"] for point in scores.operating_points.values()} == {1.0}


def test_labels_meet_by_name_whatever_their_order(data):
    dataset = open_dataset(data)
    turned = [Detections(f.boxes, f.scores, 5 - f.classes) for f in perfect(dataset)]
    assert score(dataset, turned, dataset.labels[::-1]).map == pytest.approx(1)


def test_no_detections_score_zero(data):
    dataset = open_dataset(data)
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    scores = score(dataset, [nothing] * 24, dataset.labels)
    assert (scores.map, scores.map50) == (0, 0)


def test_the_starter_model_scores_well_on_images_it_has_not_seen(data, capsys):
    assert main(["--model", str(STARTER), "--dataset", str(data), "--split", "all", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    report = json.loads(line)
    assert report["images"] == 24
    assert report["map50"] > 0.6
    assert set(report["per_class"]) == set(open_dataset(data).labels)


def test_errors_are_one_line_and_status_one(tmp_path, capsys):
    assert main(["--model", str(STARTER), "--dataset", str(tmp_path / "none.zip"), "--json"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("DatasetError")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("program", ["training.evaluate", "training.serve"])
def test_neither_evaluate_nor_serve_imports_torch(program):
    code = f"import sys, {program}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0

"""What a run learns from: no image whose defect has no place counts as background."""

from __future__ import annotations

import json

import pytest
from PIL import Image

pytest.importorskip("torch")

from tests.unit.training.learning.learning_support import job
from training.learning.data import open_training_data
from training.learning.hyperparameters import Hyperparameters

BOXES = {"annotations": [{"class_id": 0, "left": 4, "top": 4, "width": 20, "height": 20}]}


def classified(name: str) -> dict[str, object]:
    return {"look": 0, "look-metadata": {"class-name": name, "type": "groundtruth/image-classification"}}


def test_an_image_with_a_defect_and_no_box_is_neither_learned_from_nor_validated_on(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    lines = []
    for number in range(60):
        name = f"{number}.png"
        Image.new("L", (40, 40), number).save(source / name)
        labels = {"boxes": BOXES, "boxes-metadata": {"class-map": {"0": "dent"}}}
        if number % 3:
            labels = classified("anomaly" if number % 3 == 1 else "normal")
        lines.append({"source-ref": f"s3://b/{name}"} | labels)
    (source / "output.manifest").write_text("".join(json.dumps(line) + "\n" for line in lines))
    data = open_training_data(job(tmp_path / "job", source), Hyperparameters())
    learned = [*data.train.samples, *data.validation.samples]
    assert {sample.tags for sample in learned} == {(), ("normal",)}
    assert data.description["images"] == 60
    assert 25 < len(learned) <= 40

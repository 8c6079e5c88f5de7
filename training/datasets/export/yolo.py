"""Writes YOLO as Ultralytics reads it: data.yaml, and for each part `images/*` and `labels/*.txt`.

An image without objects has an empty text file.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from contract.snapshots import PARTS, Part
from training.datasets.dataset import Dataset, Sample
from training.datasets.export.pictures import OnImage, Pictures

_FOLDERS: dict[Part, str] = {"train": "train", "validation": "val", "test": "test"}
# Of the image's width and height: far below a pixel.
_DIGITS = 15


def write_yolo(dataset: Dataset, folder: Path, on_image: OnImage = lambda: None) -> list[Path]:
    """Write a data set, and return data.yaml.

    Raises:
        DatasetError: An image cannot be read.
    """
    pictures = Pictures(dataset, on_image)
    numbers = {label: number for number, label in enumerate(dataset.labels)}
    parts: dict[str, str] = {}
    for part in PARTS:
        name = _FOLDERS[part]
        for sample in dataset.part(part).samples:
            parts[name] = f"images/{name}"
            file = pictures.copy(sample, folder / parts[name])
            text = folder / "labels" / name / Path(file).with_suffix(".txt")
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text("".join(_lines(sample, numbers)))
    settings = {**parts, "names": {number: label for label, number in numbers.items()}}
    path = folder / "data.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return [path]


def _lines(sample: Sample, numbers: dict[str, int]) -> list[str]:
    lines = []
    for obj in sample.objects:
        x1, y1, x2, y2 = obj.box
        centre = ((x1 + x2) / 2 / sample.width, (y1 + y2) / 2 / sample.height)
        size = ((x2 - x1) / sample.width, (y2 - y1) / sample.height)
        values = " ".join(f"{value:.{_DIGITS}g}" for value in (*centre, *size))
        lines.append(f"{numbers[obj.label]} {values}\n")
    return lines

"""Exports of labelling tools, built for the tests, and what reading them must give."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from training.datasets import read
from training.datasets.reading import Reading

# The labelled defect of every picture of 160 x 120, unless a test says otherwise.
DENT = (20, 20, 60, 50)
SIZE = (160, 120)
YOLO_DENT = "0 0.25 0.2916667 0.25 0.25"

Boxes = dict[str, list[tuple[str, tuple[int, ...]]]]


def picture(path: Path, value: int = 90, size: tuple[int, int] = SIZE, orientation: int = 0) -> Path:
    """Write a picture of one grey; each value is another file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("L", size, value).save(path, exif=exif)
    return path


def pictures(root: Path, *names: str) -> Path:
    """Write several pictures, all different."""
    for value, name in enumerate(names, start=1):
        picture(root / name, value)
    return root


def write(root: Path, name: str, content: Any) -> Path:
    """Write a text, bytes, or a document as JSON."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return root


def zipped(folder: Path) -> Path:
    """Return a zip of the folder, with the folder in it."""
    path = folder.parent / f"{folder.name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder.parent))
    return path


def coco(*names: str, bbox: Sequence[float] = (20, 20, 40, 30), **changes: Any) -> dict[str, Any]:
    """A COCO document with one dent in each image."""
    numbers = range(1, len(names) + 1)
    return {
        "images": [
            {"id": n, "file_name": name, "width": 160, "height": 120}
            for n, name in zip(numbers, names, strict=True)
        ],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": list(bbox), "area": 1200, "iscrowd": 0}
            for n in numbers
        ],
        "categories": [{"id": 1, "name": "dent"}],
    } | changes


def voc(name: str, box: Sequence[float] = (21, 21, 60, 50), label: str = "dent") -> str:
    """A Pascal VOC file with one object."""
    x1, y1, x2, y2 = box
    return (
        f"<annotation><folder>images</folder><filename>{name}</filename><size><width>160</width><height>120</height>"
        f"<depth>3</depth></size><object><name>{label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object></annotation>"
    )


def line(reference: str, **fields: Any) -> str:
    """A line of a manifest."""
    return json.dumps({"source-ref": reference} | fields) + "\n"


def boxes_job(
    boxes: Sequence[Sequence[int]] = ((20, 20, 40, 30),), date: str = "2025-01-01"
) -> dict[str, Any]:
    """The labels of a bounding-box job, as fields of a line."""
    annotations = [{"class_id": 0, "left": x, "top": y, "width": w, "height": h} for x, y, w, h in boxes]
    metadata = {"class-map": {"0": "dent"}, "type": "groundtruth/object-detection", "creation-date": date}
    size = {"width": 160, "height": 120, "depth": 3}
    return {"job": {"image_size": [size], "annotations": annotations}, "job-metadata": metadata}


def class_job(name: str, attribute: str = "look", date: str = "2025-01-01") -> dict[str, Any]:
    """The label of a classification job, as fields of a line."""
    metadata = {"class-name": name, "type": "groundtruth/image-classification", "creation-date": date}
    return {attribute: 0, f"{attribute}-metadata": metadata}


def boxes_of(reading: Reading) -> Boxes:
    """The labels of every image, with whole pixels."""
    return {
        sample.name: [(obj.label, tuple(round(edge) for edge in obj.box)) for obj in sample.objects]
        for sample in reading.dataset.samples
    }


def told(reading: Reading) -> dict[str, int]:
    """How often each kind of problem is there."""
    kinds: dict[str, int] = {}
    for problem in reading.problems:
        kinds[problem.kind] = kinds.get(problem.kind, 0) + problem.count
    return kinds


def errors(reading: Reading) -> list[str]:
    """The kinds of the errors."""
    return [problem.kind for problem in reading.problems if problem.severity == "error"]


def read_both(folder: Path, format: str | None = None) -> Reading:
    """Read a folder and a zip of it, which must give the same."""
    reading, again = read(folder, format), read(zipped(folder), format)
    prefix = f"{folder.name}/"
    assert {name.removeprefix(prefix): found for name, found in boxes_of(again).items()} == boxes_of(reading)
    assert [sample.tags for sample in again.dataset.samples] == [s.tags for s in reading.dataset.samples]
    assert [s.source_part for s in again.dataset.samples] == [s.source_part for s in reading.dataset.samples]
    assert told(again) == told(reading)
    assert again.format == reading.format
    return reading

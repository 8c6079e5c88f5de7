"""Writes COCO: `images/*` and one annotations.json, in which each image has its part as `split`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from training.datasets.dataset import Dataset
from training.datasets.export.pictures import OnImage, Pictures
from training.datasets.formats.coco import annotations_of, categories_of

ANNOTATIONS = "annotations.json"


def write_coco(dataset: Dataset, folder: Path, on_image: OnImage = lambda: None) -> Path:
    """Write a data set, with one image in memory at a time.

    Args:
        dataset: What to write.
        folder: Created if it does not exist.
        on_image: Called after each image.

    Returns:
        The path of the COCO file.

    Raises:
        DatasetError: An image cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = Pictures(dataset, on_image)
    images: list[dict[str, Any]] = []
    for number, sample in enumerate(dataset.samples, start=1):
        name = f"images/{pictures.copy(sample, folder / 'images')}"
        size = {"width": sample.width, "height": sample.height}
        images.append({"id": number, "file_name": name, **size, "split": sample.belongs_to()})
    annotations = annotations_of((sample.objects for sample in dataset.samples), dataset.labels)
    boxes = (obj.box for sample in dataset.samples for obj in sample.objects)
    for annotation, (x1, y1, x2, y2) in zip(annotations, boxes, strict=True):
        annotation["bbox"] = [x1, y1, _length(x1, x2), _length(y1, y2)]
    document = {
        "images": images,
        "annotations": annotations,
        "categories": categories_of(dataset.labels),
    }
    return write_json(folder / ANNOTATIONS, document)


def write_json(path: Path, document: dict[str, Any]) -> Path:
    """Write a document whole or not at all, and return its path."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(document, ensure_ascii=False) + "\n", encoding="utf-8")
    return temporary.replace(path)


def _length(start: float, end: float) -> float:
    """Return the length with which `start` gives exactly `end` again.

    >>> 0.1 + (0.8 - 0.1), 0.1 + _length(0.1, 0.8)
    (0.8, 0.8)
    """
    length = end - start
    while start + length < end:
        length = math.nextafter(length, math.inf)
    while start + length > end:
        length = math.nextafter(length, -math.inf)
    return length

"""Writes what SageMaker JumpStart's object detection trains on: for each part annotations.json and `images/*`.

    train/annotations.json
    train/images/a.jpg
    test/…
    classes.txt

The folder of a part is a channel of a training job. The format has no names of classes: the classes are numbers from
0, and classes.txt beside the parts has their names, in this order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contract.snapshots import PARTS
from training.datasets.dataset import Dataset
from training.datasets.export.coco import ANNOTATIONS, write_json
from training.datasets.export.pictures import OnImage, Pictures
from training.datasets.formats.recordio import CLASS_NAMES_FILE


def write_jumpstart(dataset: Dataset, folder: Path, on_image: OnImage = lambda: None) -> list[Path]:
    """Write a data set, and return the annotation files.

    Raises:
        DatasetError: An image cannot be read.
    """
    pictures = Pictures(dataset, on_image, jpeg_and_png_only=True)
    parts = [(folder / part, dataset.part(part)) for part in PARTS]
    files = [_write_part(samples, place, pictures) for place, samples in parts if samples.samples]
    (folder / CLASS_NAMES_FILE).write_text(
        "".join(f"{label}\n" for label in dataset.labels), encoding="utf-8"
    )
    return files


def _write_part(part: Dataset, folder: Path, pictures: Pictures) -> Path:
    numbers = {label: number for number, label in enumerate(part.labels)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, sample in enumerate(part.samples, start=1):
        name = pictures.copy(sample, folder / "images")
        images.append({"file_name": name, "height": sample.height, "width": sample.width, "id": number})
        annotations += [
            {"image_id": number, "bbox": list(obj.box), "category_id": numbers[obj.label]}
            for obj in sample.objects
        ]
    return write_json(folder / ANNOTATIONS, {"images": images, "annotations": annotations})

"""Writes RecordIO for SageMaker's built-in object detection: for each part .rec and .idx, and classes.txt."""

from __future__ import annotations

import struct
from pathlib import Path

from contract.snapshots import PARTS
from training.datasets.dataset import Dataset, Sample
from training.datasets.export.pictures import OnImage, decodable
from training.datasets.formats.recordio import CLASS_NAMES_FILE
from training.datasets.storage.records import HEADER, write_record

# MXNet refuses a label without any object, and ignores a box without area.
_NO_OBJECT = (-1.0, 0.0, 0.0, 0.0, 0.0)


def write_parts(dataset: Dataset, folder: Path, on_image: OnImage = lambda: None) -> list[Path]:
    """Write one file for each part that has images, and return these files.

    Raises:
        DatasetError: An image cannot be read.
    """
    parts = [(name, dataset.part(name)) for name in PARTS]
    return [write_recordio(part, folder / f"{name}.rec", on_image) for name, part in parts if part.samples]


def write_recordio(dataset: Dataset, path: Path, on_image: OnImage = lambda: None) -> Path:
    """Write a .rec file, and next to it its .idx file and classes.txt with the names of the class numbers.

    JPEG and PNG files are copied as they are. Other formats, and images with an EXIF orientation, become PNG, because
    MXNet's decoder may support neither.

    Args:
        dataset: What to write.
        path: The .rec file; its folder is created if it does not exist.
        on_image: Called after each image.

    Returns:
        `path`.

    Raises:
        DatasetError: An image cannot be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = {label: number for number, label in enumerate(dataset.labels)}
    records, index = path.with_suffix(".rec.part"), path.with_suffix(".idx.part")
    with records.open("wb") as stream, index.open("w") as lines:
        for number, sample in enumerate(dataset.samples):
            values = _label_values(sample, numbers)
            header = HEADER.pack(len(values), 0.0, number, 0) + struct.pack(f"<{len(values)}f", *values)
            offset = write_record(stream, header + decodable(dataset.read(sample)))
            lines.write(f"{number}\t{offset}\n")
            on_image()
    (path.parent / CLASS_NAMES_FILE).write_text("".join(f"{label}\n" for label in dataset.labels))
    index.replace(path.with_suffix(".idx"))
    records.replace(path)
    return path


def _label_values(sample: Sample, numbers: dict[str, int]) -> list[float]:
    """Return the floats of a record: header width, object width, and five values for each object."""
    values = [2.0, 5.0]
    for obj in sample.objects:
        x1, y1, x2, y2 = obj.box
        edges = (x1 / sample.width, y1 / sample.height, x2 / sample.width, y2 / sample.height)
        values += (float(numbers[obj.label]), *edges)
    return values if sample.objects else [*values, *_NO_OBJECT]

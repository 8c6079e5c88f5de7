"""Writes data sets for other tools: as COCO, or as RecordIO for SageMaker's built-in object detection."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from contract.images import SUFFIXES, open_image, transposition
from contract.levels import eight_bits
from contract.snapshots import PARTS
from training.datasets.dataset import Dataset, Sample
from training.datasets.formats.coco import annotations_of, categories_of
from training.datasets.formats.recordio import CLASS_NAMES_FILE
from training.datasets.problems import DatasetError
from training.datasets.storage.files import image_suffix
from training.datasets.storage.records import HEADER, write_record

EXPORTS = ("coco", "recordio")
# MXNet refuses a label without any object, and ignores a box without area.
_NO_OBJECT = (-1.0, 0.0, 0.0, 0.0, 0.0)

OnImage = Callable[[], object]


def export(dataset: Dataset, kind: str, folder: Path, on_image: OnImage = lambda: None) -> list[Path]:
    """Write a data set to a new folder.

    Args:
        dataset: What to write.
        kind: One of EXPORTS; `recordio` writes one file for each part.
        folder: Must be empty or not exist.
        on_image: Called after each image.

    Returns:
        The annotation files.

    Raises:
        DatasetError: The folder is not empty, or an image cannot be read.
    """
    if folder.exists() and any(folder.iterdir()):
        raise DatasetError(folder, "is not empty: an export needs a new folder")
    if kind == "coco":
        return [write_coco(dataset, folder, on_image)]
    parts = [(name, dataset.part(name)) for name in PARTS]
    return [write_recordio(part, folder / f"{name}.rec", on_image) for name, part in parts if part.samples]


def write_coco(dataset: Dataset, folder: Path, on_image: OnImage = lambda: None) -> Path:
    """Write `folder`/images/* and `folder`/annotations.json, with one image in memory at a time.

    Each image's entry has its part, too, as `split`.

    Args:
        dataset: What to write.
        folder: Created if it does not exist.
        on_image: Called after each image.

    Returns:
        The path of the COCO file.

    Raises:
        DatasetError: An image cannot be read.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    used: set[str] = set()
    for number, sample in enumerate(dataset.samples, start=1):
        data = dataset.read(sample)
        name = _file_name(sample, image_suffix(data), used)
        (folder / "images" / name).write_bytes(data)
        size = {"width": sample.width, "height": sample.height}
        file = {"id": number, "file_name": f"images/{name}"}
        images.append(file | size | {"split": sample.belongs_to()})
        on_image()
    document = {
        "images": images,
        "annotations": annotations_of((sample.objects for sample in dataset.samples), dataset.labels),
        "categories": categories_of(dataset.labels),
    }
    path = folder / "annotations.json"
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(document, ensure_ascii=False) + "\n")
    temporary.replace(path)
    return path


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
            offset = write_record(stream, header + _decodable(dataset.read(sample)))
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


def _file_name(sample: Sample, suffix: str, used: set[str]) -> str:
    """Return a unique name: the sample's file name, or for a record the start of its hash."""
    path = PurePosixPath(sample.name)
    stem = path.stem if path.suffix.lower() in SUFFIXES else sample.sha256[:16]
    suffix = path.suffix if path.suffix.lower() in SUFFIXES else suffix
    name, copies = f"{stem}{suffix}", 0
    # Some file systems do not distinguish upper and lower case.
    while name.lower() in used:
        copies += 1
        name = f"{stem}-{copies}{suffix}"
    used.add(name.lower())
    return name


def _decodable(data: bytes) -> bytes:
    """Return an image file that MXNet decodes upright."""
    with open_image(data) as image:
        turn = transposition(image)
        if image.format in ("JPEG", "PNG") and turn is None:
            return data
        picture = eight_bits(image).image
        upright = picture if turn is None else picture.transpose(turn)
        buffer = io.BytesIO()
        upright.convert("RGB").save(buffer, "PNG")
        return buffer.getvalue()

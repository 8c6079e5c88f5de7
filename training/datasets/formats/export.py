"""Data sets out again, for other tools: COCO, and RecordIO for SageMaker's built-in object detection."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from contract.images import SUFFIXES, open_image, transposition
from contract.snapshots import PARTS
from training.datasets.dataset import Dataset, Sample
from training.datasets.formats.coco import annotations_of, categories_of
from training.datasets.formats.recordio import HEADER, NAMES, suffix_of, write_record
from training.datasets.problems import DatasetError

EXPORTS = ("coco", "recordio")
_NO_OBJECT = (
    -1.0,
    0.0,
    0.0,
    0.0,
    0.0,
)  # MXNet refuses a label without any object, and skips a box without area

Step = Callable[[], object]


def export(dataset: Dataset, kind: str, folder: Path, on_image: Step = lambda: None) -> list[Path]:
    """Writes the data set to a new folder as `coco`, or as `recordio` with a file for each part.

    Returns the files to begin with. Raises DatasetError.
    """
    if folder.exists() and any(folder.iterdir()):
        raise DatasetError(folder, "is not empty: an export begins with a folder of its own")
    if kind == "coco":
        return [write_coco(dataset, folder, on_image)]
    parts = [(name, dataset.part(name)) for name in PARTS]
    return [write_recordio(part, folder / f"{name}.rec", on_image) for name, part in parts if part.samples]


def write_coco(dataset: Dataset, folder: Path, on_image: Step = lambda: None) -> Path:
    """Writes `folder`/images/* and `folder`/annotations.json, one image in memory at a time.

    Each image's entry also tells its part, as `split`. Returns the COCO file's path. Raises DatasetError.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    used: set[str] = set()
    for number, sample in enumerate(dataset.samples, start=1):
        data = dataset.read(sample)
        name = _file_name(sample, suffix_of(data), used)
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


def write_recordio(dataset: Dataset, path: Path, on_image: Step = lambda: None) -> Path:
    """Writes `path` (.rec) with its .idx, and classes.txt with the names of the class numbers beside it.

    JPEG and PNG go in as they are; other formats, and those that EXIF turns, as PNG, since MXNet's decoder may
    know neither. Returns `path`. Raises DatasetError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = {label: number for number, label in enumerate(dataset.labels)}
    records, index = path.with_suffix(".rec.part"), path.with_suffix(".idx.part")
    with records.open("wb") as stream, index.open("w") as lines:
        for number, sample in enumerate(dataset.samples):
            values = [2.0, 5.0]
            for each in sample.objects:
                x1, y1, x2, y2 = each.box
                edges = (x1 / sample.width, y1 / sample.height, x2 / sample.width, y2 / sample.height)
                values += (float(numbers[each.label]), *edges)
            if not sample.objects:
                values += _NO_OBJECT
            header = HEADER.pack(len(values), 0.0, number, 0) + struct.pack(f"<{len(values)}f", *values)
            offset = write_record(stream, header + _plain(dataset.read(sample)))
            lines.write(f"{number}\t{offset}\n")
            on_image()
    (path.parent / NAMES).write_text("".join(f"{label}\n" for label in dataset.labels))
    index.replace(path.with_suffix(".idx"))
    records.replace(path)
    return path


def _file_name(sample: Sample, suffix: str, used: set[str]) -> str:
    """The sample's own file name, made one that no other has; of a record the hash."""
    path = PurePosixPath(sample.name)
    stem = path.stem if path.suffix.lower() in SUFFIXES else sample.sha256[:16]
    suffix = path.suffix if path.suffix.lower() in SUFFIXES else suffix
    name, again = f"{stem}{suffix}", 0
    while name.lower() in used:  # some file systems do not tell A from a
        again += 1
        name = f"{stem}-{again}{suffix}"
    used.add(name.lower())
    return name


def _plain(data: bytes) -> bytes:
    with open_image(data) as image:
        turn = transposition(image)
        if image.format in ("JPEG", "PNG") and turn is None:
            return data
        turned = image if turn is None else image.transpose(turn)
        if turned.mode.startswith("I"):
            turned = Image.fromarray((np.asarray(turned) >> 8).astype(np.uint8))
        buffer = io.BytesIO()
        turned.convert("RGB").save(buffer, "PNG")
        return buffer.getvalue()

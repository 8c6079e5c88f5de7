"""Labelled images: one shape for every source, read in place from a folder or a zip.

    dataset = open_dataset(Path("NEU-DET.zip"))
    dataset.part("test").samples[0].boxes

A part is chosen by the hash of the image's bytes alone, so copies of one image never land on two sides,
and adding images moves none of those already there.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from PIL import Image, UnidentifiedImageError

from training.datasets.files import DatasetError, Files, open_files
from training.pixels import FORMATS, upright_size

Part = Literal["train", "validation", "test", "all"]
Box = tuple[float, float, float, float]

__all__ = ["Box", "Dataset", "DatasetError", "Object", "Part", "Sample", "inspect", "open_dataset", "part_of"]

_TRAIN_SHARE, _VALIDATION_SHARE = 0.7, 0.1  # the rest, a fifth, is the test part


@dataclass(frozen=True, slots=True)
class Object:
    """One labelled object: box (x1, y1, x2, y2) in pixels of the upright image."""

    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and what is in it; without objects it is a good product."""

    name: str
    sha256: str
    width: int
    height: int
    objects: tuple[Object, ...]


@dataclass(frozen=True)
class Dataset:
    """Samples, the labels in their fixed order, and the files that hold the images.

    dropped_boxes: boxes of the source without any area inside their image.
    """

    files: Files
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    dropped_boxes: int = 0

    def part(self, name: Part) -> Dataset:
        """Only the samples of one part; "all" is everything."""
        if name == "all":
            return self
        return replace(self, samples=tuple(s for s in self.samples if part_of(s.sha256) == name))

    def snapshot(self) -> str:
        """The SHA-256 over all images and labels, whatever their names and order."""
        lines = sorted(f"{s.sha256} {sorted((o.label, *o.box) for o in s.objects)}" for s in self.samples)
        return hashlib.sha256("\n".join([repr(self.labels), *lines]).encode()).hexdigest()

    def read(self, sample: Sample) -> bytes:
        """The image file's bytes. Raises DatasetError."""
        return self.files.read(sample.name)


def part_of(sha256: str) -> Part:
    """The part of an image with this hash.

    >>> part_of("00" * 32), part_of("c0" * 32), part_of("ff" * 32)
    ('train', 'validation', 'test')
    """
    share = int(sha256[:8], 16) / 0x1_0000_0000
    if share < _TRAIN_SHARE:
        return "train"
    return "validation" if share < _TRAIN_SHARE + _VALIDATION_SHARE else "test"


def open_dataset(path: Path) -> Dataset:
    """Reads a folder or zip in COCO or Pascal VOC layout. Raises DatasetError, naming the file at fault.

    A folder that holds a single zip and nothing else (a channel of a training job) means that zip.
    """
    from training.datasets import coco, voc  # they need the types above

    files = open_files(path)
    if annotations := coco.find(files):
        return coco.read(files, annotations)
    if any(name.lower().endswith(".xml") for name in files.names):
        return voc.read(files)
    raise DatasetError(path, "holds neither a COCO file (annotations.json) nor Pascal VOC files (*.xml)")


def inspect(
    files: Files, name: str, objects: Callable[[int, int], tuple[tuple[Object, ...], int]]
) -> tuple[Sample, int]:
    """Reads an image's hash and upright size, and asks `objects` for its labels with that size.

    Returns the sample and the number of boxes dropped. Raises DatasetError.
    """
    data = files.read(name)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = upright_size(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(name, f"is not a readable image: {error}") from error
    found, dropped = objects(width, height)
    return Sample(name, hashlib.sha256(data).hexdigest(), width, height, found), dropped


def clip(box: Box, width: int, height: int) -> Box | None:
    """The part of the box inside the image; None if there is none."""
    x1, y1 = max(box[0], 0.0), max(box[1], 0.0)
    x2, y2 = min(box[2], float(width)), min(box[3], float(height))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None

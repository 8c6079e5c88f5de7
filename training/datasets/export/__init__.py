"""Writes data sets for other tools, each in the layout that its tool expects.

Images are copied as they are, with a name that is unique in the export. Some tools open JPEG and PNG only: for these,
other formats and images with an EXIF orientation become PNG.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from training.datasets.dataset import Dataset
from training.datasets.export.coco import write_coco
from training.datasets.export.jumpstart import write_jumpstart
from training.datasets.export.pictures import OnImage
from training.datasets.export.place import new_folder
from training.datasets.export.recordio import write_parts, write_recordio
from training.datasets.export.voc import write_voc
from training.datasets.export.yolo import write_yolo

__all__ = ["EXPORTS", "export", "for_detectors", "write_coco", "write_recordio"]

_Writer = Callable[[Dataset, Path, OnImage], list[Path]]

EXPORTS: dict[str, _Writer] = {
    "jumpstart": write_jumpstart,
    "coco": lambda dataset, folder, on_image: [write_coco(dataset, folder, on_image)],
    "recordio": write_parts,
    "yolo": write_yolo,
    "voc": write_voc,
}


def export(dataset: Dataset, kind: str, folder: Path, on_image: OnImage = lambda: None) -> list[Path]:
    """Write a data set to a new folder, whole or not at all.

    Args:
        dataset: What to write, all samples in their parts.
        kind: A key of EXPORTS.
        folder: Must be empty or not exist.
        on_image: Called after each image.

    Returns:
        The annotation files.

    Raises:
        DatasetError: The folder is not empty, or an image cannot be read.
    """
    with new_folder(folder) as temporary:
        files = EXPORTS[kind](dataset, temporary, on_image)
    return [folder / file.relative_to(temporary) for file in files]


def for_detectors(dataset: Dataset) -> Dataset:
    """Return a data set without the images that show a defect in an unknown place.

    These formats have boxes only: without a box, such an image would count as a good product.
    """
    samples = tuple(sample for sample in dataset.samples if not sample.has_unplaced_defect)
    return replace(dataset, samples=samples)

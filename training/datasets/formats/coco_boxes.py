"""Tells whether the boxes of documents shaped as COCO are sizes (x, y, width, height) or corners.

COCO and SageMaker JumpStart have the same keys. Read the wrong way, every box is in the wrong place, and nothing
fails. So the boxes, the areas and the shapes must agree with one way, or the document is refused.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from training.datasets.formats.contents import Contents
from training.datasets.problems import DatasetError

# Tools round to whole pixels, and may count the last one in or out.
_PIXEL = 1.5
# From this number on, boxes that could all be corners are not so by chance.
_MANY = 10
# Of the boxes that are certain, so many may be mistakes.
_STRAY = 0.05


def is_corners(contents: Contents, names: Sequence[str]) -> bool:
    """Return whether the boxes of documents shaped as COCO are corners.

    Args:
        contents: The files of the source.
        names: The documents.

    Raises:
        DatasetError: Most boxes overrun their image as sizes and fit as corners, but the document is not JumpStart's.
    """
    documents = [contents.document(name) for name in names]
    found = Counter(evidence for document in documents for evidence in _evidence(document))
    corners, sizes, total = found["corners"], found["sizes"], sum(found.values())
    has_names = any(isinstance(document.get("categories"), list) for document in documents)
    if not has_names and corners and not sizes:
        return True
    is_jumpstart = all(map(_has_jumpstart_keys, documents)) and sizes <= corners * _STRAY
    if total and is_jumpstart and (corners or not has_names or _is_jumpstart_folder(contents, names)):
        return True
    is_likely = corners > sizes and (2 * corners >= total or (not sizes and corners >= _MANY))
    if is_likely:
        raise DatasetError(
            names[0],
            f"{corners} of {total} boxes overrun their image as x, y, width, height, and fit as corners"
            " (xmin, ymin, xmax, ymax). If they are corners: --format jumpstart. If not: --format coco",
        )
    return False


def _has_jumpstart_keys(document: Any) -> bool:
    """Return whether a document has JumpStart's keys only: annotations in COCO have an id, and often an area."""
    annotations = document.get("annotations")
    return isinstance(annotations, list) and all(
        isinstance(annotation, dict) and not annotation.keys() & {"id", "area", "segmentation", "iscrowd"}
        for annotation in annotations
    )


def _is_jumpstart_folder(contents: Contents, names: Sequence[str]) -> bool:
    """Return whether images are in `images/` beside the document, which gives their bare names."""
    known = set(contents.files.images)
    for name in names:
        images = contents.document(name).get("images")
        folder = PurePosixPath(name).parent / "images"
        listed = [str(image.get("file_name", "")) for image in images if isinstance(image, dict)]
        if not any((folder / file_name).as_posix() in known for file_name in listed):
            return False
    return True


def _evidence(document: Any) -> Iterator[str]:
    """Yield for each box how it must be read: "corners", "sizes", or "either"."""
    images = document.get("images")
    sizes = {
        str(image.get("id")): (image.get("width"), image.get("height"))
        for image in (images if isinstance(images, list) else ())
        if isinstance(image, dict)
    }
    annotations = document.get("annotations")
    for annotation in annotations if isinstance(annotations, list) else ():
        try:
            x, y, right, bottom = (float(value) for value in annotation["bbox"])
            width, height = (float(value or math.inf) for value in sizes[str(annotation["image_id"])])
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        yield _reading(annotation, (x, y, right, bottom), width, height)


def _reading(
    annotation: dict[str, Any], box: tuple[float, float, float, float], width: float, height: float
) -> str:
    x, y, third, fourth = box
    fits_corners = third > x and fourth > y and third <= width + _PIXEL and fourth <= height + _PIXEL
    fits_sizes = x + third <= width + _PIXEL and y + fourth <= height + _PIXEL
    if fits_corners == fits_sizes:
        area = annotation.get("area")
        if not fits_corners or not isinstance(area, int | float) or annotation.get("segmentation"):
            return "either"
        # Without a shape, the area is that of the box.
        as_sizes, as_corners = third * fourth, (third - x) * (fourth - y)
        if abs(area - as_corners) <= 0.01 * as_corners < abs(area - as_sizes):
            return "corners"
        return "sizes" if abs(area - as_sizes) <= 0.01 * as_sizes else "either"
    return "corners" if fits_corners else "sizes"

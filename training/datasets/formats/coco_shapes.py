"""The boxes around COCO's shapes: polygons and masks in run-length encoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.datasets.dataset import Box
from training.datasets.formats.shapes import around

_POINTS_OF_A_BOX = 8
_RUN_BITS = 60


def has_shape(segmentation: Any, bbox: Any) -> bool:
    """Return whether an annotation has a shape that says more than its box."""
    if not segmentation:
        return False
    if bbox and isinstance(segmentation, list) and len(segmentation) == 1:
        points = segmentation[0]
        is_box = isinstance(points, list) and len(points) == _POINTS_OF_A_BOX
        return not (is_box and len(set(points[::2])) == 2 and len(set(points[1::2])) == 2)
    return True


def shape_box(segmentation: Any) -> Box | None:
    """Return the box around the polygons or the mask of an annotation; None if there is none.

    >>> shape_box([[20, 20, 60, 20, 60, 50]])
    (20.0, 20.0, 60.0, 50.0)
    >>> shape_box({"size": [2, 3], "counts": [2, 1, 3]})
    (1.0, 0.0, 2.0, 1.0)
    """
    try:
        if isinstance(segmentation, dict):
            return _mask_box(segmentation)
        if isinstance(segmentation, list) and segmentation and not isinstance(segmentation[0], list):
            segmentation = [segmentation]
        xs = [float(x) for polygon in segmentation or () for x in polygon[::2]]
        ys = [float(y) for polygon in segmentation or () for y in polygon[1::2]]
        return around(xs, ys)
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def runs_box(runs: Sequence[int], height: int, width: int) -> Box | None:
    """Return the box around a mask in run-length encoding; None if it is empty.

    Args:
        runs: The lengths of runs, the first one outside the mask, from column to column.
        height: Rows of the mask.
        width: Columns of the mask.

    Raises:
        ValueError: The runs do not fill the mask.
    """
    if height <= 0 or width <= 0 or min(runs, default=-1) < 0 or sum(runs) != height * width:
        raise ValueError("the runs do not fill the image")
    boxes: list[tuple[int, int, int, int]] = []
    start = 0
    for index, run in enumerate(runs):
        if index % 2 and run:
            (left, top), (right, bottom) = divmod(start, height), divmod(start + run - 1, height)
            # A run over the end of a column covers its last row, and the first row of the next.
            boxes.append((left, top, right, bottom) if left == right else (left, 0, right, height - 1))
        start += run
    if not boxes:
        return None
    x1, y1, x2, y2 = zip(*boxes, strict=True)
    return float(min(x1)), float(min(y1)), float(max(x2) + 1), float(max(y2) + 1)


def _mask_box(segmentation: dict[str, Any]) -> Box | None:
    """Return the box around a mask. Raises KeyError, TypeError or ValueError if it is not one."""
    height, width = (int(value) for value in segmentation["size"])
    counts = segmentation["counts"]
    return runs_box(_runs(counts) if isinstance(counts, str) else counts, height, width)


def _runs(text: str) -> list[int]:
    """Return the runs of COCO's compressed encoding (cocoapi common/maskApi.c, `rleFrString`).

    Five bits in each character, the lowest first; each run after the third is the difference to the one before the
    last.

    >>> _runs("213")
    [2, 1, 3]
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if shift > _RUN_BITS:
            raise ValueError("a run is longer than any image")
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value |= -1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs

"""Boxes around the connected areas of a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Area = tuple[int, int, int, int]


def areas(mask: NDArray[np.bool_]) -> list[Area]:
    """The box (x1, y1, x2, y2) in pixels of each area of `mask` [H, W], pixels touching also by corners.

    Runs of set pixels are joined row by row (the run-based two-scan algorithm of He, Chao and Suzuki, "A
    Run-Based Two-Scan Labeling Algorithm", IEEE Transactions on Image Processing 17(5), 2008): no dependency
    here has connected components, and this needs no array beside the mask.

    >>> areas(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=bool))
    [(0, 0, 2, 2), (2, 3, 3, 4)]
    """
    parents: list[int] = []
    boxes: list[Area] = []
    above: list[tuple[int, int, int]] = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(row.astype(np.int8), prepend=0, append=0)).tolist()
        runs: list[tuple[int, int, int]] = []
        start = 0
        for x1, x2 in zip(edges[::2], edges[1::2], strict=True):
            own = len(parents)
            parents.append(own)
            boxes.append((x1, y, x2, y + 1))
            while start < len(above) and above[start][1] < x1:
                start += 1
            for left, _, label in above[start:]:
                if left > x2:
                    break
                _join(parents, boxes, label, own)
            runs.append((x1, x2, own))
        above = runs
    return [box for label, box in enumerate(boxes) if parents[label] == label]


def _root(parents: list[int], label: int) -> int:
    while parents[label] != label:
        parents[label] = parents[parents[label]]
        label = parents[label]
    return label


def _join(parents: list[int], boxes: list[Area], a: int, b: int) -> None:
    first, second = sorted((_root(parents, a), _root(parents, b)))
    if first != second:
        parents[second] = first
        one, other = boxes[first], boxes[second]
        boxes[first] = (
            min(one[0], other[0]),
            min(one[1], other[1]),
            max(one[2], other[2]),
            max(one[3], other[3]),
        )

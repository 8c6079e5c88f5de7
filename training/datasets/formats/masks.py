"""Boxes around the connected areas of a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Area = tuple[int, int, int, int]


def areas(mask: NDArray[np.bool_]) -> list[Area]:
    """Return the box of each connected area of a mask.

    Runs of set pixels are joined row by row (the run-based two-scan algorithm of He, Chao and Suzuki, "A
    Run-Based Two-Scan Labeling Algorithm", IEEE Transactions on Image Processing 17(5), 2008). No dependency of
    the container finds connected components, and this algorithm needs no array besides the mask.

    Args:
        mask: bool [H, W]. Pixels that touch by a corner only are connected, too.

    Returns:
        (x1, y1, x2, y2) in pixels of each area.

    >>> areas(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=bool))
    [(0, 0, 2, 2), (2, 3, 3, 4)]
    """
    parents: list[int] = []
    boxes: list[Area] = []
    runs_above: list[tuple[int, int, int]] = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(row.astype(np.int8), prepend=0, append=0)).tolist()
        runs: list[tuple[int, int, int]] = []
        start = 0
        for x1, x2 in zip(edges[::2], edges[1::2], strict=True):
            label = len(parents)
            parents.append(label)
            boxes.append((x1, y, x2, y + 1))
            while start < len(runs_above) and runs_above[start][1] < x1:
                start += 1
            for left, _, label_above in runs_above[start:]:
                if left > x2:
                    break
                _join(parents, boxes, label_above, label)
            runs.append((x1, x2, label))
        runs_above = runs
    return [box for label, box in enumerate(boxes) if parents[label] == label]


def _root(parents: list[int], label: int) -> int:
    while parents[label] != label:
        parents[label] = parents[parents[label]]
        label = parents[label]
    return label


def _join(parents: list[int], boxes: list[Area], a: int, b: int) -> None:
    """Join two areas, in place: the earlier label stays and gets the box around both."""
    kept, joined = sorted((_root(parents, a), _root(parents, b)))
    if kept != joined:
        parents[joined] = kept
        x1, y1, x2, y2 = zip(boxes[kept], boxes[joined], strict=True)
        boxes[kept] = (min(x1), min(y1), max(x2), max(y2))

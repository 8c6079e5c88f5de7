"""Finds the pairs of pictures that may show the same, by the hashes of their views.

All pairs are compared, 10,000 pictures in a few seconds: as vectors of 1 and -1, the product of two hashes is their
number of equal bits minus the number of different ones, so a matrix product compares thousands at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.datasets.checks.likeness import VIEWS

# Of 255. Two random images differ in 127 bits, and on NEU-DET one pair in 100,000 differs in 90.
CANDIDATE_BITS = 90
# A mirrored or turned copy comes from a program, and has not moved. On NEU-DET no pair is within 80 by chance, and
# 60 copies saved again at quality 30 are within 48.
TURNED_BITS = 60
# With more candidates than this share of all images, what matches is the scene that all images show, as behind a fixed
# camera. Of few images, a few are no share; of many, this number are as many as anyone copies or films in a row.
CROWD_SHARE, FEW, MANY = 0.2, 5, 24
_LARGE_SHARE = 0.005
# A JPEG that is decoded faster and smaller differs by that much.
SAME_PIXELS_BITS = 4
_ROWS = 256
_BITS = 256
# Turned by a quarter to the left, a picture returns by a quarter to the right.
_BACK = [0, 1, 2, 3, 4, 6, 5, 7]

_Signs = NDArray[np.float32]
_Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two pictures that may show the same.

    Attributes:
        first: The index of one.
        second: The index of the other, above `first`.
        view: The view of `second` that is like `first`; 0 if it is neither mirrored nor turned.
    """

    first: int
    second: int
    view: int


@dataclass(frozen=True)
class Candidates:
    """What a search found.

    Attributes:
        pairs: The closest first; each pair with its best view. None of them is crowded.
        same: The pictures that may have the same pixels as another one.
        crowded: The pictures that are like too many others.
    """

    pairs: list[Candidate]
    same: set[int]
    crowded: set[int]


def find_candidates(hashes: NDArray[np.uint64]) -> Candidates:
    """Find the pairs within CANDIDATE_BITS, or within TURNED_BITS in another view.

    Args:
        hashes: Of all pictures and views, uint64 [N, 8, 4].
    """
    crowd = max(FEW, min(MANY, CROWD_SHARE * len(hashes)), _LARGE_SHARE * len(hashes))
    search = _Search(_signs(hashes[:, 0]), crowd)
    for start in range(0, len(hashes), _ROWS):
        for view in range(VIEWS):
            search.compare(_signs(hashes[start : start + _ROWS, view]), start, view)
    return search.result()


class _Search:
    """A search that goes through the rows of the matrix of all pairs, below its diagonal."""

    def __init__(self, upright: _Signs, crowd: float) -> None:
        self._upright, self._crowd = upright, crowd
        self._same: set[int] = set()
        # How many others each picture is like in each view.
        self._counts: _Counts = np.zeros((VIEWS, len(upright)), np.int64)
        self._found: list[NDArray[np.int32]] = []

    def compare(self, rows: _Signs, start: int, view: int) -> None:
        """Compare a view of the pictures from `start` on with all pictures before them."""
        end = start + len(rows)
        limit = TURNED_BITS if view else CANDIDATE_BITS
        distances = (_BITS - rows @ self._upright[:end].T) / 2
        before = np.arange(end) < np.arange(start, end)[:, None]
        within = (distances <= limit) & before
        if not within.any():
            return
        self._counts[view, start:end] += within.sum(axis=1)
        self._counts[_BACK[view], :end] += within.sum(axis=0)
        if view == 0:
            same = within & (distances <= SAME_PIXELS_BITS)
            self._same.update(np.flatnonzero(same.any(axis=0)).tolist())
            self._same.update((np.flatnonzero(same.any(axis=1)) + start).tolist())
        # The pairs of a crowd are too many to keep.
        within &= (within.sum(axis=1) <= self._crowd)[:, None]
        row, column = np.nonzero(within)
        bits = distances[row, column]
        self._found.append(np.stack([bits, np.full_like(bits, view), column, row + start]).astype(np.int32))

    def result(self) -> Candidates:
        crowded = set(np.flatnonzero((self._counts > self._crowd).any(axis=0)).tolist())
        found = np.concatenate([np.zeros((4, 0), np.int32), *self._found], axis=1)
        pairs: dict[tuple[int, int], Candidate] = {}
        for _, view, first, second in sorted(zip(*found.tolist(), strict=True)):
            if first not in crowded and second not in crowded:
                pairs.setdefault((first, second), Candidate(first, second, view))
        return Candidates(list(pairs.values()), self._same, crowded)


def _signs(hashes: NDArray[np.uint64]) -> _Signs:
    """Return the bits of hashes, uint64 [N, 4], as 1 and -1, float32 [N, 256]."""
    bits = np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8).reshape(len(hashes), -1), axis=1)
    return bits.astype(np.float32) * 2 - 1

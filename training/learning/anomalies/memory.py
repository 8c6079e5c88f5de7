"""The memory of an anomaly model, built from any number of pictures in the same amount of main memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.learning.anomalies.coreset import Floats, Indices, coreset

# Features that wait to be reduced: 36 MB at 152 channels, and all places of 37 pictures.
_POOL = 60_000


@dataclass(frozen=True, slots=True)
class Memory:
    """What an anomaly model remembers.

    Attributes:
        features: [K, C] of the places that stand for all.
        owners: [K], the number of the picture that each is from.
    """

    features: Floats
    owners: Indices

    def distances(self, seen: Floats, without: int | None = None) -> Floats:
        """Return how far each feature is from the nearest one in memory.

        Args:
            seen: [P, C].
            without: The number of a picture whose own features do not count: leave one out.

        Returns:
            [P]; infinite if nothing is left to compare with.
        """
        centre = self.features.mean(0)
        known, seen = self.features - centre, seen - centre
        squares = np.square(known).sum(1)
        if without is not None:
            squares[self.owners == without] = np.inf
        nearest = (squares - 2 * (seen @ known.T)).min(1)
        distances: NDArray[np.float32] = np.sqrt(np.maximum(np.square(seen).sum(1) + nearest, 0))
        return distances

    def forget(self, pictures: Sequence[int]) -> Memory:
        """Return the memory without what is from these pictures. The others are numbered anew, in their order."""
        kept = ~np.isin(self.owners, pictures)
        owners = self.owners[kept]
        return Memory(self.features[kept], owners - np.searchsorted(np.sort(pictures), owners))


class MemoryBank:
    """Collects the features of pictures. When too many wait, a coreset stands for all so far.

    Attributes:
        waiting: How many features wait.
    """

    def __init__(self, most: int, seed: int, pool: int = _POOL) -> None:
        """Begin an empty memory.

        Args:
            most: The most features to remember.
            seed: Of the choice.
            pool: The most features that wait; raised to three times `most` if it is less.
        """
        self._most, self._seed, self._pool = most, seed, max(pool, 3 * most)
        self._features: list[Floats] = []
        self._owners: list[Indices] = []
        self.waiting = 0

    def add(self, features: Floats, owner: int) -> None:
        """Add the features [P, C] of picture number `owner`."""
        if self.waiting and self.waiting + len(features) > self._pool:
            reduced = self.reduced()
            self._features, self._owners = [reduced.features], [reduced.owners]
            self.waiting = len(reduced.owners)
        self._features.append(features)
        self._owners.append(np.full(len(features), owner, np.int64))
        self.waiting += len(features)

    def reduced(self) -> Memory:
        """Return what stands for all pictures so far."""
        features, owners = np.concatenate(self._features), np.concatenate(self._owners)
        chosen = coreset(features, self._most, self._seed)
        return Memory(features[chosen], owners[chosen])

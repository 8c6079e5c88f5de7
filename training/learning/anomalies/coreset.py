"""A few features that stand for many: the greedy coreset of PatchCore.

Each step takes the feature that is farthest from all taken so far, so that no feature is far from a taken one: the
greedy k-centre algorithm (Gonzalez 1985), at most twice as far as the best choice. Distances are measured in a random
projection, which keeps them nearly as they are (Johnson and Lindenstrauss 1984).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from training.job import stopping

_DIMENSIONS = 64
# Between two looks at the signals.
_STEPS = 100

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


def coreset(features: Floats, most: int, seed: int) -> Indices:
    """Return the indices of at most `most` features that stand for all, in the order in which they were taken.

    Fewer are returned if all others are copies of them.

    Args:
        features: [N, C].
        most: At least 1.
        seed: Of the projection and of the first feature.

    Raises:
        Stopped: A signal came.
    """
    chance = np.random.default_rng(seed)
    with _one_thread():
        points = torch.from_numpy(_projected(features, chance))
        squares = points.square().sum(1)
        farthest = int(chance.integers(len(points)))
        nearest = torch.full((len(points),), torch.inf)
        products = torch.empty_like(nearest)
        taken: list[int] = []
        while len(taken) < min(most, len(points)):
            if len(taken) % _STEPS == 0:
                stopping.check()
            taken.append(farthest)
            torch.mv(points, points[farthest], out=products)
            products.mul_(-2).add_(squares).add_(squares[farthest])
            torch.minimum(nearest, products, out=nearest)
            # Rounding must not let a feature be taken twice.
            nearest[farthest] = -1
            farthest = int(nearest.argmax())
            if nearest[farthest] <= 1e-6 * float(squares[farthest]):
                break
    return np.array(taken, np.int64)


def _projected(features: Floats, chance: np.random.Generator) -> Floats:
    """Return features around their centre, in fewer dimensions."""
    channels = features.shape[1]
    centred: Floats = features - features.mean(0)
    if channels <= _DIMENSIONS:
        return centred
    projection = chance.standard_normal((channels, _DIMENSIONS)).astype(np.float32)
    projected: Floats = centred @ (projection / np.float32(np.sqrt(_DIMENSIONS)))
    return projected


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: the steps are too short to share, and waiting for each other costs more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

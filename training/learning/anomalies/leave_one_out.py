"""What the good pictures look like to a memory that has not seen them, and what the bad ones look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from training.learning.anomalies.coreset import Floats
from training.learning.anomalies.data import Picture
from training.learning.anomalies.features import Extractor
from training.learning.anomalies.memory import Memory

# As in the graph: the distance of a picture is the mean of its farthest places.
FARTHEST = 5


@dataclass(frozen=True, slots=True)
class Distances:
    """How far pictures are from what is remembered.

    Attributes:
        pictures: [N], of each picture.
        places: [N, P], of each place of each picture.
        wholes: [N, C], the mean feature of each picture.
    """

    pictures: Floats
    places: Floats
    wholes: Floats = field(default_factory=lambda: np.zeros((0, 1), np.float32))


def distances(
    extractor: Extractor,
    memory: Memory,
    pictures: Sequence[Picture],
    report: Callable[[int, int], None],
    *,
    leave_out: bool,
) -> Distances:
    """Return the distances of pictures.

    Args:
        extractor: Looks at them.
        memory: What is remembered.
        pictures: With `leave_out`, those that the memory is from, in the order of its owners.
        report: Gets the number of pictures done, and of all, after each.
        leave_out: Whether to compare each picture with a memory without its own features.
    """
    places, wholes = [], []
    for number, (_, features) in enumerate(extractor(pictures)):
        places.append(memory.distances(features, without=number if leave_out else None))
        wholes.append(features.mean(0))
        report(number + 1, len(pictures))
    if not places:
        return Distances(np.zeros(0, np.float32), np.zeros((0, 1), np.float32))
    stacked = np.stack(places)
    farthest = np.partition(stacked, -FARTHEST, axis=1)[:, -FARTHEST:]
    return Distances(farthest.mean(1), stacked, np.stack(wholes))

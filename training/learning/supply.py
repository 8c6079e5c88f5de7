"""How batches come from the processes that prepare them: by shared memory, or by a pipe where there is too little.

torch hands tensors over in /dev/shm, of which Docker gives a container 64 MB. A training that needs more is killed by a
bus error: https://github.com/aws/sagemaker-python-sdk/issues/5592. A pipe copies each batch twice, which takes some
milliseconds, and needs no shared memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from training.detectors import Target
from training.learning.augmentation import Example

PREFETCH = 4  # batches that each process prepares ahead
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where torch puts tensors; nothing is written here by name
_SPARE = 1.25  # what others use, and the rounding to pages
_PAGE = 4096  # the least that a tensor takes; each target has two

Batch = tuple[Tensor, list[Target]]
Arrays = tuple[NDArray[np.uint8], list[tuple[NDArray[np.float32], NDArray[np.int64]]]]


def shared_memory_needed(batch_size: int, size: int, workers: int) -> int:
    """Return the bytes that all batches on their way take together.

    Args:
        batch_size: Images in a batch.
        size: Side of an image, in pixels.
        workers: Processes that prepare batches.
    """
    batch = batch_size * (size * size * 3 + 2 * _PAGE)
    # One more for each process: the batch that it is at.
    return int(workers * (PREFETCH + 1) * batch * _SPARE)


def shared_memory_free() -> int:
    """Return the bytes that are free for tensors; where there is no such folder, memory is not limited so."""
    try:
        found = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return 1 << 62
    return found.f_bavail * found.f_frsize


def as_tensors(examples: list[Example]) -> Batch:
    """Return examples as a batch."""
    return torch.stack([image for image, _ in examples]), [target for _, target in examples]


def as_arrays(examples: list[Example]) -> Arrays:
    """Return examples as a batch that is pickled whole: torch would put each of its tensors into shared memory."""
    images, targets = as_tensors(examples)
    return images.numpy(), [(target.boxes.numpy(), target.classes.numpy()) for target in targets]


class Piped:
    """The batches of a loader whose processes return arrays."""

    def __init__(self, loader: DataLoader[Example]) -> None:
        """Read from `loader`, which collates by `as_arrays`."""
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        for images, targets in self._loader:
            yield (
                torch.from_numpy(images),
                [Target(torch.from_numpy(boxes), torch.from_numpy(classes)) for boxes, classes in targets],
            )

"""Images as tensors: decoded once with `training.model.pixels`, and augmented differently in every epoch."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from tqdm import tqdm

from contract.images import UnreadableError
from training.datasets import Dataset, DatasetError, Sample
from training.detectors import Target
from training.job.children import end_with_parent
from training.job.container import cores
from training.learning.augmentation import Augmentation, Example
from training.learning.supply import (
    PREFETCH,
    Piped,
    as_arrays,
    as_tensors,
    shared_memory_free,
    shared_memory_needed,
)
from training.model.pixels import decode

CACHE_BYTES = 4 * 1024**3
_MOSAIC_OTHERS = 3


class Loader(TorchDataset[Example]):
    """The examples of a data set; the same seed, epoch and index give the same augmentation.

    Decoded images are kept in memory if all of them fit into CACHE_BYTES.
    """

    def __init__(
        self,
        dataset: Dataset,
        labels: Sequence[str],
        size: int,
        seed: int,
        bit_depth: int | None = None,
        *,
        augment: bool,
    ) -> None:
        """Decode the images.

        Args:
            dataset: The images with their labelled objects.
            labels: The model's labels; the index of a label is its class.
            size: Side of the model's input, in pixels.
            seed: Of augmentation and order.
            bit_depth: Of the cameras, for 16-bit files that do not state it.
            augment: Whether examples are augmented.

        Raises:
            DatasetError: An image cannot be read.
        """
        self._dataset, self._size, self._seed, self._bit_depth = dataset, size, seed, bit_depth
        self._targets = [_target(dataset, index, labels) for index in range(len(dataset.samples))]
        self._augment = Augmentation(size) if augment else None
        self._epoch, self._mosaic = 0, 0.0
        self._cache = self._decode_all() if len(self) * size * size * 3 <= CACHE_BYTES else None

    def __len__(self) -> int:
        return len(self._dataset.samples)

    def __getitem__(self, index: int) -> Example:
        """Return example `index` as the current epoch shows it."""
        example = self.pixels(index), self._targets[index]
        if self._augment is None:
            return example
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed would seed the GPU's generators, too, and format the stack three times to report errors.
            torch.default_generator.manual_seed(hash((self._seed, self._epoch, index)))
            if torch.rand(()) >= self._mosaic:
                return self._augment([example])
            others = torch.randint(0, len(self), (_MOSAIC_OTHERS,)).tolist()
            return self._augment([example, *((self.pixels(other), self._targets[other]) for other in others)])

    def pixels(self, index: int) -> Tensor:
        """Return image `index` without augmentation, uint8 [size, size, 3].

        Raises:
            DatasetError: The image cannot be read.
        """
        if self._cache is not None:
            return self._cache[index]
        return self._decode(index)

    def batches(
        self, epoch: int, batch_size: int, workers: int, mosaic: float = 0.0
    ) -> DataLoader[Example] | Piped:
        """Return the batches of an epoch in an order that depends on seed and epoch.

        An incomplete last batch is left out, except if it is the only one. They come by a pipe if the shared memory is
        too small for those on their way.

        Args:
            epoch: Number of the epoch; it changes augmentation and order.
            batch_size: Images in a batch.
            workers: Processes that prepare batches; 0: this process does.
            mosaic: Share of the examples that are made of four images.
        """
        self._epoch, self._mosaic = epoch, mosaic
        generator = torch.Generator().manual_seed(hash((self._seed, epoch)))
        piped = shared_memory_needed(batch_size, self._size, workers) > shared_memory_free()
        loader = DataLoader(
            self,
            batch_size,
            shuffle=True,
            generator=generator,
            num_workers=workers,
            # A forked process has the decoded images without a copy, and without shared memory.
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
            prefetch_factor=PREFETCH if workers else None,
            collate_fn=as_arrays if piped else as_tensors,
            drop_last=len(self) > batch_size,
            worker_init_fn=partial(_begin_worker, os.getpid()),
        )
        return Piped(loader) if piped else loader

    def _decode_all(self) -> Tensor:
        """Decode all images into one piece of memory, which processes that are forked later see, too."""
        cache = torch.empty((len(self), self._size, self._size, 3), dtype=torch.uint8)

        def fill(index: int) -> None:
            cache[index] = self._decode(index)

        with ThreadPoolExecutor(cores()) as pool:
            decoded = pool.map(fill, range(len(self)))
            for _ in tqdm(decoded, "decoding", len(self), disable=not sys.stderr.isatty(), leave=False):
                pass
        return cache

    def _decode(self, index: int) -> Tensor:
        return torch.from_numpy(
            read_pixels(self._dataset, self._dataset.samples[index], self._size, self._bit_depth).copy()
        )


def _begin_worker(parent: int, _worker: int) -> None:
    # Ctrl+C, or a signal to the process group, is the trainer's to handle.
    os.setsid()
    end_with_parent(parent)


def read_pixels(dataset: Dataset, sample: Sample, size: int, bit_depth: int | None) -> NDArray[np.uint8]:
    """Return the pixels of one image, uint8 [size, size, 3].

    Args:
        dataset: What the image is in.
        sample: The image.
        size: Side of the model's input, in pixels.
        bit_depth: Of the cameras, for 16-bit files that do not state it.

    Raises:
        DatasetError: The image cannot be read, or is nearly black; the message names it.
    """
    try:
        picture = decode(dataset.read(sample), size, bit_depth=bit_depth)
    except UnreadableError as error:
        raise DatasetError(sample.name, str(error)) from error
    # A model that has learned from nearly black images would be blind once its pictures are as bright as they are.
    if (bits := picture.unstated_bits) is not None:
        raise DatasetError(
            sample.name,
            f"uses at most {bits} of its 16 bits, and nothing says how bright white is: "
            f"set the hyperparameter bit_depth={bits} (16 if the image is as dark as it looks)",
        )
    return picture.pixels


def _target(dataset: Dataset, index: int, labels: Sequence[str]) -> Target:
    sample = dataset.samples[index]
    scale = torch.tensor([sample.width, sample.height, sample.width, sample.height], dtype=torch.float32)
    boxes = torch.tensor([item.box for item in sample.objects], dtype=torch.float32).reshape(-1, 4) / scale
    classes = torch.tensor([labels.index(item.label) for item in sample.objects], dtype=torch.int64)
    return Target(boxes, classes)

"""Samples as tensors: decoded once through `training.model.pixels`, augmented afresh every epoch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from tqdm import tqdm

from contract.images import UnreadableError
from training.datasets import Dataset, DatasetError
from training.detectors import Target
from training.job.container import cores
from training.learning.augmentation import Augmentation
from training.model.pixels import decode

CACHE_BYTES = 4 * 1024**3

Item = tuple[Tensor, Target]


def pixels_of(dataset: Dataset, index: int, size: int) -> NDArray[np.uint8]:
    """The pixels of one sample, uint8 [size, size, 3]. Raises DatasetError, naming the image."""
    sample = dataset.samples[index]
    try:
        return decode(dataset.read(sample), size).pixels
    except UnreadableError as error:
        raise DatasetError(sample.name, str(error)) from error


class Loader(TorchDataset[Item]):
    """Sample `index` in the epoch set last; the same seed, epoch and index give the same augmentation."""

    def __init__(
        self, dataset: Dataset, labels: Sequence[str], size: int, seed: int, *, augment: bool
    ) -> None:
        self._dataset, self._size, self._seed = dataset, size, seed
        self._targets = [_target(dataset, index, labels) for index in range(len(dataset.samples))]
        self._augment = Augmentation(size) if augment else None
        self._epoch, self._mosaic = 0, 0.0
        self._cache = self._decode_all() if len(self) * size * size * 3 <= CACHE_BYTES else None

    def __len__(self) -> int:
        return len(self._dataset.samples)

    def __getitem__(self, index: int) -> Item:
        item = self.pixels(index), self._targets[index]
        if self._augment is None:
            return item
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(hash((self._seed, self._epoch, index)))
            if torch.rand(()) >= self._mosaic:
                return self._augment([item])
            others = torch.randint(0, len(self), (3,)).tolist()
            return self._augment([item, *((self.pixels(other), self._targets[other]) for other in others)])

    def pixels(self, index: int) -> Tensor:
        """uint8 [size, size, 3], as the file has it."""
        if self._cache is not None:
            return self._cache[index]
        return torch.from_numpy(pixels_of(self._dataset, index, self._size).copy())

    def batches(self, epoch: int, batch_size: int, workers: int, mosaics: float = 0.0) -> DataLoader[Item]:
        """The epoch's batches, shuffled by seed and epoch, without the incomplete last one.

        mosaics: the share of pictures that are made of four.
        """
        self._epoch, self._mosaic = epoch, mosaics
        generator = torch.Generator().manual_seed(hash((self._seed, epoch)))
        return DataLoader(
            self,
            batch_size,
            shuffle=True,
            generator=generator,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            collate_fn=_collate,
            drop_last=len(self) > batch_size,
        )

    def _decode_all(self) -> Tensor:
        """All images decoded, in memory that data-loading workers share."""
        cache = torch.empty((len(self), self._size, self._size, 3), dtype=torch.uint8)

        def fill(index: int) -> None:
            cache[index] = torch.from_numpy(pixels_of(self._dataset, index, self._size).copy())

        with ThreadPoolExecutor(cores()) as pool:
            done = pool.map(fill, range(len(self)))
            for _ in tqdm(done, "decoding", len(self), disable=not sys.stderr.isatty(), leave=False):
                pass
        cache.share_memory_()  # type: ignore[no-untyped-call]
        return cache


def _target(dataset: Dataset, index: int, labels: Sequence[str]) -> Target:
    sample = dataset.samples[index]
    scale = torch.tensor([sample.width, sample.height, sample.width, sample.height], dtype=torch.float32)
    boxes = torch.tensor([each.box for each in sample.objects], dtype=torch.float32).reshape(-1, 4) / scale
    classes = torch.tensor([labels.index(each.label) for each in sample.objects], dtype=torch.int64)
    return Target(boxes, classes)


def _collate(items: list[Item]) -> tuple[Tensor, list[Target]]:
    return torch.stack([image for image, _ in items]), [target for _, target in items]

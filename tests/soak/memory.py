"""Samples of the resident memory of a local cloud, and how it grows with the number of images."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import psutil

_EVERY_S = 2.0
_KILLED = 15  # samples within which a killed worker has been replaced
_KIB, _MIB = 1 << 10, 1 << 20


@dataclass(frozen=True)
class Sample:
    """The memory at one moment.

    Attributes:
        images: How many images had their record.
        cloud: The bytes of the cloud's process.
        workers: The bytes of the functions and of the model server together.
    """

    images: int
    cloud: int
    workers: int


@dataclass
class Memory:
    """Samples in a thread, from `with` on until the block ends.

    Attributes:
        process: The cloud.
        images: Returns how many images have their record.
        samples: What was found so far.
    """

    process: psutil.Process
    images: Callable[[], int]
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(_EVERY_S):
            workers = 0
            for child in self.process.children(recursive=True):
                try:
                    workers += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue  # a killed worker
            self.samples.append(Sample(self.images(), self.process.memory_info().rss, workers))

    def growth(self) -> tuple[float, float]:
        """Return by how many KiB the cloud and the workers grow with each image.

        A killed worker is missing for a moment, so the workers' size is the largest of half a minute.
        """
        images = [sample.images for sample in self.samples]
        workers = [sample.workers for sample in self.samples]
        whole = [max(workers[max(0, index - _KILLED) : index + 1]) for index in range(len(workers))]
        return kib_per_image(images, [sample.cloud for sample in self.samples]), kib_per_image(images, whole)

    def latest(self) -> str:
        """Return the latest sample in words."""
        if not self.samples:
            return "no sample"
        sample = self.samples[-1]
        return f"cloud {sample.cloud / _MIB:.0f} MiB, workers {sample.workers / _MIB:.0f} MiB"


def kib_per_image(images: Sequence[int], sizes: Sequence[int]) -> float:
    """Return by how many KiB a size grows with each image: the slope of the second half, by least squares.

    >>> kib_per_image([0, 10, 20, 30], [0, 90_000, 20_480, 30_720])
    1.0
    """
    half = len(images) // 2
    xs, ys = images[half:], sizes[half:]
    if len(set(xs)) < 2:
        return 0.0
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return covariance / sum((x - mean_x) ** 2 for x in xs) / _KIB

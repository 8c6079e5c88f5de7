"""The interface to the files of a data set: names, and the bytes behind each name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from pathlib import PurePosixPath
from typing import BinaryIO

from contract.images import SUFFIXES
from training.datasets.problems import Problem
from training.job.container import cores


class Files(ABC):
    """Files, read by name. Safe to use from threads and from forked workers.

    Attributes:
        names: The files' names, in a fixed order.
        chosen: The one file that the user named, if it was one; `names` then also has the files next to it.
        refused: Files that are there but not among the names, each with the reason.
        threads: How many reads at the same time are worthwhile.
    """

    names: tuple[str, ...]
    chosen: str | None = None
    refused: tuple[Problem, ...] = ()
    threads: int = min(8, cores())

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            DatasetError: The file cannot be read.
        """

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Return a stream that can seek, for a large file. The caller closes it.

        Raises:
            DatasetError: The file cannot be read.
        """

    @abstractmethod
    def uri(self, name: str) -> str:
        """Return the URI by which `storage.uris.ImagesByUri` reads the file again."""

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The names with the suffix of an image."""
        return tuple(name for name in self.names if name.lower().endswith(SUFFIXES))

    @cached_property
    def images_by_stem(self) -> dict[str, list[str]]:
        """The images' names, by file name without folders and suffix."""
        return _grouped((PurePosixPath(name).stem, name) for name in self.images)

    @cached_property
    def _names_by_file_name(self) -> dict[str, list[str]]:
        return _grouped((PurePosixPath(name).name, name) for name in self.names)

    def matching(self, reference: str) -> list[str]:
        """Return the names that share the longest end of their path with a path or URI from elsewhere.

        Args:
            reference: A path or URI whose last part is the file's name.

        Returns:
            One name is a match. Several names match equally well. An empty list means that there is no such file.
        """
        wanted = reference.replace("\\", "/").split("/")
        candidates = self._names_by_file_name.get(wanted[-1], [])
        lengths = [common_length(reversed(wanted), reversed(name.split("/"))) for name in candidates]
        longest = max(lengths, default=0)
        return [name for name, length in zip(candidates, lengths, strict=True) if length == longest]


def common_length(a: Iterable[str], b: Iterable[str]) -> int:
    """Return how many items two sequences share from their beginning.

    >>> common_length("rail", "rain")
    3
    """
    length = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        length += 1
    return length


def is_hidden(name: str) -> bool:
    """Return whether a file belongs to the operating system that packed it, and is not data.

    >>> is_hidden("__MACOSX/a.jpg"), is_hidden("images/.DS_Store"), is_hidden("images/a.jpg")
    (True, True, False)
    """
    parts = PurePosixPath(name).parts
    return parts[:1] == ("__MACOSX",) or any(part.startswith(".") and part != ".." for part in parts)


def image_suffix(image: bytes) -> str:
    """Return the usual file name suffix for the bytes of an image file; "" for an unknown format.

    >>> image_suffix(bytes.fromhex("ffd8ffe0"))
    '.jpg'
    """
    for start, suffix in _SUFFIX_BY_FIRST_BYTES.items():
        if image.startswith(start):
            return suffix
    return ".webp" if image[8:12] == b"WEBP" else ""


_SUFFIX_BY_FIRST_BYTES = {
    b"\xff\xd8": ".jpg",
    b"\x89PNG": ".png",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}


def _grouped(items: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for key, name in items:
        groups[key].append(name)
    return dict(groups)

"""The interface to the files of a data set: names, and the bytes behind each name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import BinaryIO

from contract.images import SUFFIXES
from training.datasets import bounds
from training.datasets.problems import DatasetError, Problem
from training.datasets.storage.names import Names, is_preview
from training.job.container import cores

_PIECE = 4 << 20


class Files(ABC):
    """Files, read by name. Safe to use from threads and from forked workers.

    Attributes:
        names: The files' names, in a fixed order.
        chosen: The one file that the user named, if it was one; `names` then also has the files next to it.
        aliases: Other spellings of some names, where the names' code page is not known.
        refused: Files that are there but not among the names, each with the reason.
        threads: How many reads at the same time are worthwhile.
    """

    names: tuple[str, ...]
    chosen: str | None = None
    aliases: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    refused: tuple[Problem, ...] = ()
    threads: int = min(8, cores())

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            DatasetError: The file cannot be read, or has more than `bounds.FILE_BYTES`.
        """

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Return a stream that can seek, for a large file. The caller closes it.

        Raises:
            DatasetError: The file cannot be read.
        """

    def stream(self, name: str) -> BinaryIO:
        """Return a stream to read a file once, from its beginning. The caller closes it.

        Raises:
            DatasetError: The file cannot be read.
        """
        return self.open(name)

    def peek(self, name: str, size: int) -> bytes:
        """Return the first bytes of a file, to tell what it is.

        Raises:
            DatasetError: The file cannot be read.
        """
        with self.open(name) as stream:
            return stream.read(size)

    @abstractmethod
    def uri(self, name: str) -> str:
        """Return the URI by which `storage.uris.ImagesByUri` reads the file again."""

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The names with the suffix of an image, without thumbnails."""
        return tuple(name for name in self.names if name.lower().endswith(SUFFIXES) and not is_preview(name))

    @cached_property
    def _image_names(self) -> Names:
        return Names(self.images, self.aliases)

    @cached_property
    def _other_names(self) -> Names:
        images = set(self.images)
        return Names((name for name in self.names if name not in images), self.aliases)

    def matching(self, reference: str, near: str = "", hint: str = "") -> list[str]:
        """Return the images that a name in a label file may mean; see `storage.names`.

        Args:
            reference: A path or URI whose last part is the image's name.
            near: The label file.
            hint: The name of a folder in which the image is likely to be.

        Returns:
            One name is a match. Several names match equally well. An empty list means that there is no such file.
            A file that is not a known kind of image is returned if no image fits.
        """
        return self._image_names.find(reference, near, hint) or self._other_names.find(reference, near, hint)


def read_bounded(stream: BinaryIO, file: object, errors: tuple[type[Exception], ...] = (OSError,)) -> bytes:
    """Return what a stream has.

    Args:
        stream: The stream. It is not asked for all at once: what a zip unpacks need not have the size that it states.
        file: The file, for messages.
        errors: What reading may raise.

    Raises:
        DatasetError: The stream cannot be read, or has more than `bounds.FILE_BYTES`.
    """
    pieces, left = list[bytes](), bounds.FILE_BYTES
    try:
        while piece := stream.read(_PIECE):
            left -= len(piece)
            if left < 0:
                raise DatasetError(
                    file,
                    f"has more than {bounds.FILE_BYTES >> 20} MiB: it is no image, and too long for labels",
                )
            pieces.append(piece)
    except errors as error:
        raise DatasetError(file, f"cannot be read: {error}") from error
    return b"".join(pieces)


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

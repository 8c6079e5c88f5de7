"""The pictures of an export: their names, and their bytes where a tool does not open every format."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from contract.images import SUFFIXES, open_image, transposition
from contract.levels import eight_bits
from training.datasets.dataset import Dataset, Sample
from training.datasets.storage.files import image_suffix

OnImage = Callable[[], object]


class Pictures:
    """Copies pictures under names that are unique in the export, with and without their suffix."""

    def __init__(self, dataset: Dataset, on_image: OnImage, *, jpeg_and_png_only: bool = False) -> None:
        """Take what is exported.

        Args:
            dataset: Reads the pictures.
            on_image: Called after each picture.
            jpeg_and_png_only: Whether the tool opens nothing else, and no picture that is to be turned.
        """
        self._dataset, self._on_image, self._only = dataset, on_image, jpeg_and_png_only
        self._used: set[str] = set()

    def copy(self, sample: Sample, folder: Path) -> str:
        """Write the picture of a sample, and return its file name.

        Raises:
            DatasetError: It cannot be read.
        """
        original = self._dataset.read(sample)
        data = decodable(original) if self._only else original
        name = self._name(sample, image_suffix(data), keep_suffix=data is original)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        self._on_image()
        return name

    def _name(self, sample: Sample, usual_suffix: str, *, keep_suffix: bool) -> str:
        """Return the sample's file name, or for a name without a suffix the start of its hash."""
        path = PurePosixPath(sample.name)
        has_suffix = path.suffix.lower() in SUFFIXES
        stem = path.stem if has_suffix else sample.sha256[:16]
        suffix = path.suffix if has_suffix and keep_suffix else usual_suffix
        unique, copies = stem, 0
        while _folded(unique) in self._used:
            copies += 1
            unique = f"{stem}-{copies}"
        self._used.add(_folded(unique))
        return f"{unique}{suffix}"


def decodable(data: bytes) -> bytes:
    """Return an image file that decoders without EXIF and for JPEG and PNG only show upright."""
    with open_image(data) as image:
        turn = transposition(image)
        if image.format in ("JPEG", "PNG") and turn is None:
            return data
        picture = eight_bits(image).image
        upright = picture if turn is None else picture.transpose(turn)
        buffer = io.BytesIO()
        upright.convert("RGB").save(buffer, "PNG")
        return buffer.getvalue()


def _folded(name: str) -> str:
    """Return what is the same for two names that some file systems do not distinguish."""
    return unicodedata.normalize("NFC", name).casefold()

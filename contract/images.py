"""Image files: the accepted formats, the check of the header, and the EXIF orientation."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from PIL import ExifTags, Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MAX_PIXELS = 100_000_000
MIN_SIDE = 8  # pixels; a smaller image cannot show a product

# `open_image` checks the size itself. Pillow's own check warns, and to silence a warning is not thread-safe.
Image.MAX_IMAGE_PIXELS = None

# Pillow's decoders are meant to raise OSError, but damaged files make their header parsers raise others, too.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    struct.error,
    zlib.error,
)
_SIDEWAYS = (5, 6, 7, 8)
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableError(Exception):
    """The image cannot be inspected, now or later.

    Attributes:
        code: Stable, for programs: `empty_image`, `unsupported_format`, `corrupt_image`, `too_many_pixels`,
            `multiple_frames`, `too_small`, `unsupported_mode`, `timed_out`, `too_large`, `deleted`, or a code of
            a container of another version.
        message: For people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Size and format of an image, from its header.

    Attributes:
        width: Pixels as stored, before the EXIF orientation is applied.
        height: Pixels as stored.
        format: One of FORMATS, detected from the content.
    """

    width: int
    height: int
    format: str

    @property
    def content_type(self) -> str:
        """The MIME type."""
        return f"image/{self.format.lower()}"


@contextmanager
def open_image(source: bytes | BinaryIO, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Check an image's header, and open the image. No pixel is decoded yet.

    Decoder errors inside the `with` block become UnreadableError, too.

    Args:
        source: The file's bytes, or a seekable stream.
        max_pixels: The most pixels that the image may have.

    Yields:
        The opened image.

    Raises:
        UnreadableError: The file is empty, of another format or damaged, or the image has several frames or too
            many pixels.
    """
    if source == b"":
        raise UnreadableError("empty_image", "the file is empty")
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(stream, formats=FORMATS) as image:
            width, height = image.size
            # First of all, because any further access may decode the image.
            if width * height > max_pixels:
                raise UnreadableError(
                    "too_many_pixels", f"{width} x {height} pixels, the limit is {max_pixels:,}"
                )
            if _has_second_frame(image):
                raise UnreadableError(
                    "multiple_frames", "the file holds several frames or pages; send one still image"
                )
            yield image
    except UnidentifiedImageError as error:
        raise UnreadableError("unsupported_format", f"not one of {', '.join(FORMATS)}") from error
    except DECODER_ERRORS as error:
        raise UnreadableError("corrupt_image", f"the image is damaged or cut short: {error}") from error


def read_header(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Read an image's header.

    Raises:
        UnreadableError: As for `open_image`, or a side has fewer than MIN_SIDE pixels.
    """
    with open_image(data, max_pixels) as image:
        header = ImageHeader(*image.size, format_of(image))
    if min(header.width, header.height) < MIN_SIDE:
        raise UnreadableError(
            "too_small", f"{header.width} x {header.height} pixels; each side needs {MIN_SIDE}"
        )
    return header


def format_of(image: Image.Image) -> str:
    """Return one of FORMATS. A JPEG with further pictures behind the first (MPO: previews, depth) counts as JPEG."""
    return "JPEG" if image.format == "MPO" else str(image.format)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of an opened image with its EXIF orientation applied.

    Call it before the image's pixels are loaded. For a PNG it decodes the whole image, because Pillow looks for
    EXIF after the pixels.
    """
    width, height = image.size
    return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)


def transposition(image: Image.Image) -> Image.Transpose | None:
    """Return the transposition that turns an opened image upright, or None if it is upright.

    Call it before the image's pixels are loaded.
    """
    return _TRANSPOSITIONS.get(_orientation(image))


def _orientation(image: Image.Image) -> int:
    # Pillow turns a TIFF upright when it loads it, and reports the upright size before that.
    return 1 if image.format == "TIFF" else int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _has_second_frame(image: Image.Image) -> bool:
    """Look for one further frame only: a TIFF can chain hundreds of thousands of directories."""
    if format_of(image) == "JPEG":
        return False
    if image.format != "TIFF":
        return getattr(image, "n_frames", 1) > 1
    try:
        image.seek(1)
    except EOFError:
        return False
    return True

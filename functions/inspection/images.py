"""What can be told of an image from its header, before any pixel is decoded and any GPU time spent."""

import io
import struct
import zlib
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from inspection.errors import UnreadableError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
MIN_SIDE = 8  # pixels; nothing that small is a picture of a product

# `check` has a cap of its own. Pillow's would warn, and silencing a warning is not safe among threads.
Image.MAX_IMAGE_PIXELS = None

# Pillow's decoders were written to raise OSError, yet damaged files reach what parses their headers, too.
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


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Width and height in pixels as stored (before EXIF orientation), and the format by content."""

    width: int
    height: int
    format: str

    @property
    def content_type(self) -> str:
        return f"image/{self.format.lower()}"


def check(data: bytes, max_pixels: int) -> ImageFacts:
    """Read the header.

    Raises:
        UnreadableError: empty, of no allowed format, more than one frame, too small, or too many pixels.
    """
    if not data:
        raise UnreadableError("empty_image", "the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            # A JPEG with further pictures behind the first (MPO: previews, depth) is that JPEG.
            kind = "JPEG" if image.format == "MPO" else image.format or ""
            facts = ImageFacts(*image.size, kind)
            several = kind != "JPEG" and facts.width * facts.height <= max_pixels and _has_second_frame(image)
    except UnidentifiedImageError as error:
        raise UnreadableError("unsupported_format", f"not one of {', '.join(FORMATS)}") from error
    except DECODER_ERRORS as error:
        raise UnreadableError("corrupt_image", f"the header is damaged: {error}") from error
    width, height = facts.width, facts.height
    if width * height > max_pixels:
        raise UnreadableError("too_many_pixels", f"{width} x {height} pixels, the limit is {max_pixels:,}")
    if several:
        raise UnreadableError(
            "multiple_frames", "the file holds several frames or pages; send one still image"
        )
    if min(width, height) < MIN_SIDE:
        raise UnreadableError("too_small", f"{width} x {height} pixels; each side needs {MIN_SIDE}")
    return facts


def _has_second_frame(image: Image.Image) -> bool:
    """Without counting them all: a TIFF can chain directories by the hundred thousand."""
    if image.format != "TIFF":
        return getattr(image, "n_frames", 1) > 1
    try:
        image.seek(1)
    except EOFError:
        return False
    return True

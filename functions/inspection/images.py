"""What can be told of an image from its header, before any pixel is decoded and any GPU time spent."""

import io
import struct
import warnings
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from inspection.errors import UnreadableError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
MIN_SIDE = 8  # pixels; nothing that small is a picture of a product


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
        with warnings.catch_warnings(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own cap is below
            width, height = image.size
            frames = getattr(image, "n_frames", 1) if width * height <= max_pixels else 1
            facts = ImageFacts(width, height, image.format or "")
    except Image.DecompressionBombError as error:
        raise UnreadableError("too_many_pixels", f"more pixels than the limit of {max_pixels:,}") from error
    except UnidentifiedImageError as error:
        raise UnreadableError("unsupported_format", f"not one of {', '.join(FORMATS)}") from error
    # What Pillow's parsers raise on damaged headers (fuzzed by the tests).
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        IndexError,
        TypeError,
        KeyError,
        struct.error,
    ) as error:
        raise UnreadableError("corrupt_image", f"the header is damaged: {error}") from error
    if width * height > max_pixels:
        raise UnreadableError("too_many_pixels", f"{width} x {height} pixels, the limit is {max_pixels:,}")
    if frames != 1:
        raise UnreadableError(
            "multiple_frames", "the file holds several frames or pages; send one still image"
        )
    if min(width, height) < MIN_SIDE:
        raise UnreadableError("too_small", f"{width} x {height} pixels; each side needs {MIN_SIDE}")
    return facts

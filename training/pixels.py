"""From image bytes to the pixels that a detector sees: the one path of train, evaluate and serve.

Whatever the file's format, mode and EXIF orientation, `decode` returns upright RGB of the model's size,
so that a box means the same thing wherever it was drawn. Normalisation is part of the ONNX graph.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
MAX_PIXELS = 100_000_000

ImageErrorCode = Literal[
    "empty_image",
    "unsupported_format",
    "too_many_pixels",
    "multiple_frames",
    "unsupported_mode",
    "corrupt_image",
]

# Pillow's decoders were written to raise OSError, yet hostile files reach their header parsing too.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    struct.error,
    zlib.error,
)
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)


class ImageError(Exception):
    """An image that cannot be judged. `code` is stable; the message is for people."""

    def __init__(self, code: ImageErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ImageErrorCode = code


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image.

    pixels: uint8 [size, size, 3], upright RGB, stretched to the model's input.
    width, height: of the upright original, in pixels.
    format: one of FORMATS.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    format: str


def decode(data: bytes, size: int, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decodes an image into `size` x `size` upright RGB.

    Raises ImageError for whatever is not one whole still image of an allowed format; the pixel cap is
    checked before any pixel is decoded.
    """
    if not data:
        raise ImageError("empty_image", "the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return _read(image, size, max_pixels)
    except Image.DecompressionBombError as error:
        raise ImageError("too_many_pixels", f"more pixels than the limit of {max_pixels:,}") from error
    except UnidentifiedImageError as error:
        raise ImageError("unsupported_format", f"not one of {', '.join(FORMATS)}") from error
    except _DECODER_ERRORS as error:
        raise ImageError("corrupt_image", f"the image is damaged or cut short: {error}") from error


def to_original(boxes: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Boxes [N, 4] in 0..1 of the model's input as pixels of the upright original.

    >>> to_original(np.array([[0, 0, 0.5, 1]], dtype=np.float32), width=200, height=100).tolist()
    [[0.0, 0.0, 100.0, 100.0]]
    """
    return np.clip(boxes, 0, 1) * np.array([width, height, width, height], dtype=np.float32)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height once the EXIF orientation is applied, from an opened image's header."""
    width, height = image.size
    return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)


def _orientation(image: Image.Image) -> int:
    # Pillow turns TIFF upright by itself, when it loads it, and gives the upright size before.
    return 1 if image.format == "TIFF" else int(image.getexif().get(ExifTags.Base.Orientation, 1))


def quality(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """How good the picture itself is, from uint8 [H, W, 3]; cheap, since a camera drifts before it fails.

    sharpness: variance of the Laplacian (grey levels squared; falls when the lens is out of focus).
    exposure: mean brightness, 0..1.
    clipped: share of pixels that are fully black or fully white.
    """
    grey = pixels[:, :, 1].astype(np.int16)
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    return {
        "sharpness": round(float(laplacian.var(dtype=np.float32)), 2),
        "exposure": round(float(grey.mean(dtype=np.float32)) / 255, 4),
        "clipped": round(float(np.count_nonzero((grey <= 1) | (grey >= 254)) / grey.size), 4),
    }


def _read(image: Image.Image, size: int, max_pixels: int) -> Picture:
    # Before anything else: Pillow decodes a whole PNG to find its EXIF orientation.
    if image.width * image.height > max_pixels:
        raise ImageError(
            "too_many_pixels", f"{image.width} x {image.height} pixels, the limit is {max_pixels:,}"
        )
    if getattr(image, "n_frames", 1) != 1:
        raise ImageError("multiple_frames", "the file holds several frames or pages; send one still image")
    width, height = upright_size(image)
    kind = str(image.format)
    orientation = _orientation(image)
    # JPEG can decode at 1/2, 1/4 or 1/8 of its size: never below what the model needs, and much faster.
    image.draft(None, (size * 2, size * 2))
    small = _as_rgb(image).resize((size, size), Image.Resampling.BILINEAR).convert("RGB")
    if orientation in _TRANSPOSITIONS:
        small = small.transpose(_TRANSPOSITIONS[orientation])
    return Picture(np.asarray(small), width, height, kind)


def _as_rgb(image: Image.Image) -> Image.Image:
    """RGB, or 8-bit grey, which is cheaper to resize; transparency is laid on white."""
    mode = image.mode
    if mode in ("L", "RGB"):
        image.load()
        return image if "transparency" not in image.info else _flatten(image)
    if mode in _SIXTEEN_BIT or mode == "I":
        levels = np.asarray(image)
        if levels.size and (levels.min() < 0 or levels.max() > 0xFFFF):
            raise ImageError("unsupported_mode", "grey levels beyond 16 bits are not supported")
        return Image.fromarray((levels >> 8).astype(np.uint8))
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return _flatten(image)
    if mode in ("1", "P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
        return image.convert("RGB")
    raise ImageError("unsupported_mode", f"pixels of mode {mode} are not supported")


def _flatten(image: Image.Image) -> Image.Image:
    opaque = image.convert("RGBA")
    white = Image.new("RGBA", opaque.size, "white")
    return Image.alpha_composite(white, opaque).convert("RGB")

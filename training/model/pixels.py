"""From an image's bytes to the pixels that a detector gets: one implementation for train, evaluate and serve.

Whatever the file's format, mode and EXIF orientation, `decode` returns upright RGB of the model's size, so that a box
always means the same place. Normalisation is part of the ONNX graph.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from contract.images import MAX_PIXELS, UnreadableError, format_of, open_image, transposition, upright_size
from contract.levels import eight_bits

# A progressive JPEG may process all its pixels once for every 20 bytes, so the clock is checked after few bytes.
_JPEG_BLOCK = 4096
_QUALITY_SIZE = 256
_LEVELS = np.arange(256)
_DARK = 0.1  # mean brightness


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image.

    Attributes:
        pixels: uint8 [size, size, 3], upright RGB, stretched to the model's input.
        width: Of the upright original, in pixels.
        height: As width.
        format: One of contract.images.FORMATS.
        full: The upright original itself, RGB or grey, if `decode` was asked to keep it.
        unstated_bits: As contract.levels.EightBits has it: the picture is too dark to believe.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    format: str
    full: Image.Image | None = None
    unstated_bits: int | None = None


class _Timed(io.BytesIO):
    """Bytes whose reading raises UnreadableError after a deadline, which ends a decoder between two reads."""

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self._deadline:
            raise UnreadableError("timed_out", f"decoding takes longer than {self._seconds:g} s")
        return super().read(size)


def decode(
    data: bytes,
    size: int,
    max_pixels: int = MAX_PIXELS,
    full_above: int | None = None,
    seconds: float | None = None,
    bit_depth: int | None = None,
) -> Picture:
    """Decode an image into upright RGB of `size` x `size` pixels.

    Args:
        data: The file's bytes.
        size: Edge of the model's input.
        max_pixels: The most pixels that the image may have; checked before any pixel is decoded.
        full_above: Pictures with a side of more pixels keep their full resolution, too.
        seconds: Decoding JPEG, PNG and BMP ends after this time. TIFF and WebP are decoded in one piece; only
            `max_pixels` limits them.
        bit_depth: The bits that the camera stores in 16-bit files that do not state it.

    Raises:
        UnreadableError: The data is not one whole still image of an allowed format and size.
    """
    if not data:
        raise UnreadableError("empty_image", "the file is empty")
    with open_image(data if seconds is None else _Timed(data, seconds), max_pixels) as image:
        return _decode(image, size, full_above, bit_depth)


def to_original(boxes: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Return boxes [N, 4], in 0..1 of the model's input, in pixels of the upright original.

    >>> to_original(np.array([[0, 0, 0.5, 1]], dtype=np.float32), width=200, height=100).tolist()
    [[0.0, 0.0, 100.0, 100.0]]
    """
    return np.clip(boxes, 0, 1) * np.array([width, height, width, height], dtype=np.float32)


def quality(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Return measures of the picture itself, which show a camera that drifts before it fails.

    Every image is measured, so this must be cheap.

    Args:
        pixels: uint8 [H, W, 3].

    Returns:
        sharpness: Variance of the Laplacian, in grey levels squared; it falls when the lens is out of focus. The
            picture is first resized to 256 x 256, so that models of any input size and cameras of any resolution
            compare: on one blurred scene from 200 to 3,000 pixels, with inputs from 256 to 640, it differs by a
            fifth, while the sharpness of the input itself differs fivefold.
        exposure: Mean brightness, 0..1.
        clipped: Share of pixels that are fully black or fully white; `dark` and `bright` are its two parts.
    """
    green = Image.fromarray(np.ascontiguousarray(pixels[:, :, 1]))
    counts, total = np.array(green.histogram()), green.width * green.height
    exposure = float(counts @ _LEVELS) / total / 255
    if exposure < _DARK:
        # In red or blue light green is black, but the picture is not.
        counts = np.array(Image.fromarray(pixels).convert("L").histogram())
        exposure = float(counts @ _LEVELS) / total / 255
    if green.size != (_QUALITY_SIZE, _QUALITY_SIZE):
        green = green.resize((_QUALITY_SIZE, _QUALITY_SIZE), Image.Resampling.BILINEAR)
    grey = np.asarray(green).astype(np.int16)
    # Every other row gives the same figure at half the cost.
    rows = grey[1:-1:2]
    around = grey[:-2:2, 1:-1] + grey[2::2, 1:-1] + rows[:, :-2] + rows[:, 2:]
    laplacian = (around - 4 * rows[:, 1:-1]).ravel().astype(np.float32)
    dark, bright = int(counts[:2].sum()) / total, int(counts[254:].sum()) / total
    return {
        "sharpness": round(float(laplacian.dot(laplacian) / laplacian.size - laplacian.mean() ** 2), 2),
        "exposure": round(exposure, 4),
        "clipped": round(dark + bright, 4),
        "dark": round(dark, 4),
        "bright": round(bright, 4),
    }


def _decode(image: Image.Image, size: int, full_above: int | None, bit_depth: int | None) -> Picture:
    width, height = upright_size(image)
    file_format, turn = format_of(image), transposition(image)
    if isinstance(image, ImageFile.ImageFile):
        image.decodermaxblock = _JPEG_BLOCK if file_format == "JPEG" else ImageFile.MAXBLOCK
    keep_full = full_above is not None and max(width, height) > full_above
    if not keep_full:
        # JPEG can decode at 1/2, 1/4 or 1/8 of its size, much faster. `draft` never goes below the requested size.
        image.draft(None, (size * 2, size * 2))
    levels = eight_bits(image, bit_depth)
    full = levels.image
    resized = full.resize((size, size), Image.Resampling.BILINEAR).convert("RGB")
    if turn is not None:
        resized = resized.transpose(turn)
        full = full.transpose(turn) if keep_full else full
    return Picture(
        np.asarray(resized), width, height, file_format, full if keep_full else None, levels.unstated_bits
    )

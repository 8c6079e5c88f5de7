"""The images of the serving benchmark: the same for the endpoint, for its peers, and for bare inference."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image

from training.datasets.generated.synthetic import draw


@cache
def steel() -> list[bytes]:
    """Return 64 generated images of steel, JPEG with 200 × 200 pixels, about 15 kB each."""
    return [_encode(draw(1, number)[0], "JPEG", quality=92) for number in range(64)]


@cache
def large(width: int = 6000, height: int = 4000) -> bytes:
    """Return a JPEG with 24 megapixels, as a camera takes it."""
    grain = np.random.default_rng(0).normal(0, 6, (500, 500, 1))
    tile = np.clip(np.asarray(draw(2, 1, size=500)[0])[:, :, None] + grain, 0, 255).astype(np.uint8)
    pixels = np.tile(tile, (height // 500, width // 500, 3))
    return _encode(Image.fromarray(pixels), "JPEG", quality=85)


@cache
def mixed() -> list[tuple[bytes, int, str]]:
    """Return images with the expected status and error code: seven in ten are good, the others bad or huge."""
    good = [(image, 200, "") for image in steel()[:28]]
    image = steel()[0]
    bad = [
        (b"", 422, "empty_image"),
        (b"this is a shopping list\n" * 100, 422, "unsupported_format"),
        (image[: len(image) // 2], 422, "corrupt_image"),
        (_encode(Image.new("L", (12_000, 12_000)), "PNG"), 422, "too_many_pixels"),
        (bytes(7 * 1024 * 1024), 413, "body_too_large"),
        (_encode(Image.new("P", (20, 20)), "GIF"), 422, "unsupported_format"),
    ]
    return [*good, *bad * 2, (large(3000, 2000), 200, "")]


def _encode(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()

"""The images of the serving benchmark: the same for the endpoint, for its peers, and for bare inference."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from training.datasets.generated import synthetic
from training.datasets.generated.synthetic import draw

_KEPT = Path(__file__).resolve().parents[1] / "build" / "bench-images"
_STEEL = 64


@cache
def steel() -> list[bytes]:
    """Return 64 generated images of steel, JPEG with 200 × 200 pixels, about 15 kB each.

    To draw them takes seconds, and each process of a benchmark needs them. So the first one keeps them.
    """
    code = hashlib.sha256(Path(synthetic.__file__).read_bytes()).hexdigest()[:12]
    folder = _KEPT / code
    if not folder.is_dir():
        _KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_KEPT) as name:
            drawing = Path(name) / code
            drawing.mkdir()
            for number in range(_STEEL):
                image = _encode(draw(1, number)[0], "JPEG", quality=92)
                (drawing / f"{number:02d}.jpg").write_bytes(image)
            # Of two processes that draw at the same time, the second one's are the same.
            with contextlib.suppress(OSError):
                drawing.rename(folder)
    return [(folder / f"{number:02d}.jpg").read_bytes() for number in range(_STEEL)]


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

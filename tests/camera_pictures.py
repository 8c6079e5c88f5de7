"""A picture in the forms in which cameras and their programs store it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tiff_files import TiffPage, tiff

CASES = Path(os.environ.get("LOUPE_CASES", Path(__file__).parents[2] / "shared" / "cases"))


def case(name: str) -> Path:
    """Return the folder of a case; the test is skipped where it is missing."""
    if not (CASES / name).is_dir():
        pytest.skip(f"{CASES / name} is missing; LOUPE_CASES names the folder of the cases")
    return CASES / name


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def forms(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield file names and files that show the same as a JPEG of grey, and say how bright their white is."""
    with Image.open(io.BytesIO(data)) as opened:
        picture = opened.convert("RGB")
    grey = picture.convert("L")
    levels = np.asarray(grey).astype(np.uint16)
    transparent = picture.convert("RGBA")
    transparent.putalpha(0)
    small = TiffPage(levels[::4, ::4], 8, tags={254: 1})
    yield "jpeg.jpg", data
    yield "upper-case.JPG", data
    yield "browser.jfif", data
    yield (
        "preview.mpo.jpg",
        _saved(picture, "MPO", quality=95, save_all=True, append_images=[picture.resize((50, 50))]),
    )
    yield "grey.png", _saved(grey, "PNG")
    yield "grey.bmp", _saved(grey, "BMP")
    yield "grey.webp", _saved(picture, "WEBP", lossless=True)
    yield "alpha-0.png", _saved(transparent, "PNG")
    yield "cmyk.tif", _saved(picture.convert("CMYK"), "TIFF")
    yield "16-bit.png", _saved(Image.fromarray(levels * 257), "PNG")
    yield "white-is-zero.tif", tiff(TiffPage(65535 - levels * 257, 16, 0), order=">")
    yield "10-bit.tif", tiff(TiffPage(levels << 2, 10))
    yield "12-bit.tif", tiff(TiffPage(levels << 4, 12, compressed=True))
    yield "14-bit-turned.tif", tiff(TiffPage(levels.T[::-1] << 6, 14, tags={274: 6}))
    yield "float.tif", tiff(TiffPage(np.asarray(grey) / np.float32(255), 32, 1, {339: 3}))
    yield "thumbnail.tif", tiff(small, TiffPage(levels, 8))


def twelve_in_sixteen(data: bytes) -> bytes:
    """Return a JPEG's picture as 12 bits in a PNG of 16, which says nothing about it."""
    with Image.open(io.BytesIO(data)) as opened:
        return _saved(Image.fromarray(np.asarray(opened.convert("L")).astype(np.uint16) << 4), "PNG")


def strip(data: bytes, size: tuple[int, int], at: int) -> bytes:
    """Return a long strip of plain grey noise that shows a JPEG's picture once, at a share of its length."""
    with Image.open(io.BytesIO(data)) as opened:
        part = opened.convert("L")
    noise = np.random.default_rng(1).normal(147, 4, size[::-1]).clip(0, 255).astype(np.uint8)
    whole = Image.fromarray(noise)
    part = part.crop((0, 0, min(part.width, size[0]), min(part.height, size[1])))
    whole.paste(part, (at, 0) if size[0] > size[1] else (0, at))
    return _saved(whole, "PNG", compress_level=1)

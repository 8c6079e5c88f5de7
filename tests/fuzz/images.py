"""The decoder: for any bytes it ends in time, in little memory, with a picture or a typed error."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image

from contract.images import UnreadableError
from tests.fuzz.mutation import mutate_bytes
from tests.fuzz.target import Target
from tests.tiff_files import TiffPage, tiff
from training.model.pixels import decode

MAX_PIXELS = 4_000_000
SECONDS = 2.0  # given to the decoder
SIZE = 64

_MODES = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "L", "RGBA", "LA", "P", "1", "I;16"),
    "BMP": ("RGB", "L", "P", "1"),
    "TIFF": ("RGB", "L", "CMYK", "I;16", "RGBA"),
    "WEBP": ("RGB", "RGBA"),
}
_OPTIONS = {
    "JPEG": [{"progressive": True}, {"optimize": True}],
    "TIFF": [{"compression": kind} for kind in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")],
    "WEBP": [{"lossless": True}],
}


@cache
def seeds() -> list[bytes]:
    """Return small whole files of every format, with its modes and compressions, some with EXIF."""
    rng = np.random.default_rng(3)
    scene = Image.fromarray(rng.integers(0, 255, (24, 31, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = []
    for kind, modes in _MODES.items():
        for mode in modes:
            image = (
                Image.fromarray(rng.integers(0, 65535, (24, 31), dtype=np.uint16))
                if mode == "I;16"
                else scene.convert(mode)
            )
            for options in [{}, *_OPTIONS.get(kind, [])]:
                if options.get("compression") == "jpeg" and mode not in ("RGB", "L"):
                    continue
                buffer = io.BytesIO()
                image.save(buffer, kind, **options, **({} if kind == "BMP" else {"exif": exif}))
                files.append(buffer.getvalue())
    return files + [tiff(*pages, order=order) for pages in _tiff_pages(rng) for order in "<>"]


def _tiff_pages(rng: np.random.Generator) -> list[tuple[TiffPage, ...]]:
    """Return pages of TIFF files that Pillow cannot write."""
    grey, colour = (rng.integers(0, 1024, (24, 31, *samples)) for samples in ((), (3,)))
    packed = TiffPage(grey, 10, 0, {274: 6})
    return [
        (packed,),
        (TiffPage(grey * 16, 14, compressed=True),),
        (TiffPage(grey * 4, 12, rows_per_strip=5),),
        (TiffPage(colour, 10, 2),),
        (TiffPage(colour * 64, 16, 2, planes=True),),
        (TiffPage(grey / 1023, 32, 1, {339: 3}),),
        (TiffPage(grey[::2, ::2] // 4, 8, tags={254: 1}), packed),
    ]


def broken(data: bytes) -> str | None:
    """Decode `data`. Returns what went wrong; None if nothing did."""
    try:
        picture = decode(data, SIZE, MAX_PIXELS, full_above=40, seconds=SECONDS)
    except UnreadableError:
        return None
    if picture.pixels.shape != (SIZE, SIZE, 3) or picture.width * picture.height > MAX_PIXELS:
        return f"pixels {picture.pixels.shape} of {picture.width} x {picture.height}"
    return None


# TIFF and WebP cannot be interrupted, and machines are busy: ten seconds, not two.
TARGET = Target("images", (20,), seeds, broken, mutate=mutate_bytes, examples=600)

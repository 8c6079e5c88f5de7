"""Large pictures of every kind, and the memory that it takes to draw them.

    PYTHONPATH=functions python -m tests.large_pictures [--side 10000] [--thumbnails] [KIND ...]

A line for each kind: the bytes that drawing took at most beside the file, and the kind.
"""

from __future__ import annotations

import argparse
import io
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inspection.pictures.annotating import annotate
from inspection.thumbnails import thumbnail
from tests.tiff_files import TiffPage, tiff

SIDE = 10_000  # 100 megapixels, as MaxImagePixels
_TURNED = {274: 6}


def _scene(side: int) -> Image.Image:
    """Return a grey picture: dark at the left, bright at the right."""
    return Image.frombytes("L", (side, 1), bytes(255 * x // side for x in range(side))).resize((side, side))


def _saved(mode: str, kind: str, **options: object) -> Callable[[int], bytes]:
    def made(side: int) -> bytes:
        image = _scene(side)
        image = Image.merge("LA", [image, image]) if mode == "LA" else image.convert(mode)
        if mode == "RGBA":
            image.putalpha(_scene(side))
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return made


def _deep_png(colours: int, samples: int, bits: int) -> Callable[[int], bytes]:
    """Return what makes a PNG of 16 bits, of which it uses some. Pillow writes those of grey only."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def made(side: int) -> bytes:
        levels = (np.arange(side) * 65535 // side >> 16 - bits).repeat(samples)
        row = b"\0" + levels.astype(">u2").tobytes()
        packer = zlib.compressobj(1)
        body = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
        header = struct.pack(">IIBBBBB", side, side, 16, colours, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")

    return made


def _tiff(bits: int, samples: int, photometric: int, used: int = 0, **page: Any) -> Callable[[int], bytes]:
    """Return what makes a TIFF of samples of some bits, of which it uses some."""

    def made(side: int) -> bytes:
        row = np.arange(side) * 65535 // side >> 16 - (used or min(bits, 16))
        levels = (row / np.float32(65535)).astype(np.float32) if bits == 32 else row
        shape = (side, side) if samples == 1 else (side, side, samples)
        whole = np.broadcast_to(levels if samples == 1 else levels[:, None], shape)
        return tiff(TiffPage(whole, bits, photometric, compressed=True, rows_per_strip=50, **page))

    return made


@dataclass(frozen=True)
class Kind:
    """One kind of picture.

    Attributes:
        write: Makes a square picture with a side of so many pixels.
        bytes: The most bytes that drawing it takes for each of its pixels.
    """

    write: Callable[[int], bytes]
    bytes: float


_JPEG = {"quality": 30}
KINDS: dict[str, Kind] = {
    "JPEG grey": Kind(_saved("L", "JPEG", **_JPEG), 0.3),
    "JPEG RGB": Kind(_saved("RGB", "JPEG", **_JPEG), 1.5),
    "JPEG MPO": Kind(_saved("RGB", "MPO", save_all=True, append_images=[Image.new("RGB", (64, 64))]), 1.5),
    "JPEG CMYK": Kind(_saved("CMYK", "JPEG", **_JPEG), 2.5),
    "JPEG progressive RGB": Kind(_saved("RGB", "JPEG", progressive=True, subsampling=0, **_JPEG), 7),
    "JPEG progressive CMYK": Kind(_saved("CMYK", "JPEG", progressive=True, subsampling=0, **_JPEG), 9),
    "PNG grey": Kind(_saved("L", "PNG", compress_level=1), 1.3),
    "PNG RGB": Kind(_saved("RGB", "PNG", compress_level=1), 4.8),
    "PNG RGBA": Kind(_saved("RGBA", "PNG", compress_level=1), 5.3),
    "PNG LA": Kind(_saved("LA", "PNG", compress_level=1), 5.3),
    "PNG palette": Kind(_saved("P", "PNG", compress_level=1), 1.6),
    "PNG palette with alpha": Kind(_saved("P", "PNG", compress_level=1, transparency=bytes(range(256))), 2.2),
    "PNG 1 bit": Kind(_saved("1", "PNG", compress_level=1), 1.6),
    "PNG 16-bit grey": Kind(_deep_png(0, 1, 16), 2.6),
    "PNG 12 in 16-bit grey": Kind(_deep_png(0, 1, 12), 2.6),
    "PNG 16-bit RGB": Kind(_deep_png(2, 3, 16), 5.3),
    "PNG 12 in 16-bit RGB": Kind(_deep_png(2, 3, 12), 5.3),
    "PNG 16-bit RGBA": Kind(_deep_png(6, 4, 16), 5.3),
    "BMP grey": Kind(_saved("L", "BMP"), 1.3),
    "BMP RGB": Kind(_saved("RGB", "BMP"), 4.8),
    "TIFF RGB, turned": Kind(_saved("RGB", "TIFF", compression="tiff_adobe_deflate", tiffinfo=_TURNED), 8.1),
    "TIFF RGBA, turned": Kind(
        _saved("RGBA", "TIFF", compression="tiff_adobe_deflate", tiffinfo=_TURNED), 8.1
    ),
    "TIFF CMYK, turned": Kind(_saved("CMYK", "TIFF", compression="tiff_lzw", tiffinfo=_TURNED), 8.1),
    "TIFF JPEG": Kind(_saved("RGB", "TIFF", compression="jpeg"), 4.9),
    "TIFF 16-bit grey, turned": Kind(_tiff(16, 1, 1, tags=_TURNED), 4.1),
    "TIFF 16-bit RGB": Kind(_tiff(16, 3, 2), 5.3),
    "TIFF 12 in 16-bit RGB": Kind(_tiff(16, 3, 2, used=12), 5.3),
    "TIFF packed 10-bit grey": Kind(_tiff(10, 1, 1, tags=_TURNED), 2.6),
    "TIFF packed 12-bit RGB": Kind(_tiff(12, 3, 2), 6.4),
    "TIFF float grey": Kind(_tiff(32, 1, 1, tags={339: 3}), 5.3),
    "WebP": Kind(_saved("RGB", "WEBP", method=0), 1.3),
    "WebP with alpha": Kind(_saved("RGBA", "WEBP", method=0), 2.6),
    "WebP lossless": Kind(_saved("RGB", "WEBP", lossless=True, quality=0, method=0), 4.6),
}


def peaks(side: int, draw: Callable[[bytes], bytes], kinds: list[str]) -> Iterator[tuple[str, int]]:
    """Yield each kind with the bytes that drawing a picture of it took at most, beside the file."""
    for kind in kinds:
        data = KINDS[kind].write(side)
        # From now on the kernel notes a new peak: proc(5).
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        draw(data)
        yield kind, _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def main() -> None:
    """Print a line for each kind."""
    parser = argparse.ArgumentParser(prog="python -m tests.large_pictures", description=__doc__)
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument(
        "--thumbnails", action="store_true", help="draw thumbnails, not the pictures of alerts"
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="by default all: " + "; ".join(KINDS))
    options = parser.parse_args()

    def draw(data: bytes) -> bytes:
        most = options.side**2
        return thumbnail(data, most) if options.thumbnails else annotate(data, (), (), most)

    for kind, peak in peaks(options.side, draw, options.kinds or list(KINDS)):
        sys.stdout.write(f"{peak} {kind}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

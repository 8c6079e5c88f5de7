"""Fuzz the decoder: for any bytes it ends in time, in little memory, with a picture or a typed error.

    python -m tests.fuzz.images --minutes 10 [--seed N] [--keep FOLDER]

It mutates real files of every format and mode. A file that breaks the promise is kept, and the exit status is 1.
`tests/fuzz/test_images.py` does the same for a few seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import random
import resource
import sys
import time
import traceback
import warnings
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from contract.images import UnreadableError
from tests.tiff_files import TiffPage, tiff
from training.model.pixels import decode

MAX_PIXELS = 4_000_000
SECONDS = 2.0  # given to the decoder
MAX_SECONDS = 10.0  # more is a finding: TIFF and WebP cannot be interrupted, and machines are busy
MAX_MIB = 600.0
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
# Lengths, counts and markers that parsers often handle wrongly.
_AWKWARD = [
    bytes([0xFF]) * 4,
    bytes(4),
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\xff\xda",
    b"IDAT",
    b"Exif\0\0",
]


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


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Return `data` with a few changes: bits, bytes, awkward values, cuts, repeats, pieces of another file."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(changed) + 1)
        length = min(rng.choice((1, 2, 4, 16, 200)), len(changed) - at)
        match rng.randrange(7):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at : at + length] = rng.randbytes(length)
            case 2:
                value = rng.choice(_AWKWARD)
                changed[at : at + len(value)] = value
            case 3:
                del changed[at : at + length]
            case 4:
                changed[at:at] = changed[at : at + length] * rng.choice((1, 2, 300))
            case 5:
                other = rng.choice(seeds())
                start = rng.randrange(len(other))
                changed[at : at + length] = other[start : start + length]
            case _:
                del changed[max(at, 8) :]
        if not changed:
            return bytes(rng.randbytes(8))
    return bytes(changed[:200_000])


def broken_promise(data: bytes) -> str | None:
    """Decode `data`. Returns what went wrong; None if nothing did."""
    began = time.monotonic()
    try:
        picture = decode(data, SIZE, MAX_PIXELS, full_above=40, seconds=SECONDS)
        if picture.pixels.shape != (SIZE, SIZE, 3) or picture.width * picture.height > MAX_PIXELS:
            return f"pixels {picture.pixels.shape} of {picture.width} x {picture.height}"
    except UnreadableError:
        pass
    except Exception:  # noqa: BLE001 - any other is the finding
        return traceback.format_exc()
    taken = time.monotonic() - began
    return f"{taken:.1f} s" if taken > MAX_SECONDS else None


def peak_mib() -> float:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)


def main() -> int:
    """Fuzz for some minutes. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.images", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    parser.add_argument(
        "--keep", type=Path, default=Path("build/fuzz"), help="the folder for files that break the promise"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff reports each error there
    rng, counts = random.Random(options.seed), Counter[str]()  # noqa: S311 - not a secret
    until = time.monotonic() + options.minutes * 60
    while time.monotonic() < until:
        data = mutate(rng.choice(seeds()), rng)
        counts["files"] += 1
        wrong = broken_promise(data)
        if peak_mib() > MAX_MIB:
            wrong = wrong or f"{peak_mib():.0f} MiB"
        if wrong:
            options.keep.mkdir(parents=True, exist_ok=True)
            path = options.keep / hashlib.sha256(data).hexdigest()[:16]
            path.write_bytes(data)
            sys.stdout.write(f"{path}: {wrong}\n")
            counts["findings"] += 1
            if peak_mib() > MAX_MIB:
                break  # the peak cannot be reset, so the next file could not be measured
    sys.stdout.write(f"seed {options.seed}: {counts['files']} files, {counts['findings']} findings\n")
    return 1 if counts["findings"] else 0


if __name__ == "__main__":
    raise SystemExit(main())

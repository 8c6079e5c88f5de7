"""TIFF files as cameras and programs write them, with what Pillow cannot write: any depth, planes, several pages."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHORT, _LONG = 3, 4
_RAW, _DEFLATE = 1, 8


@dataclass(frozen=True)
class TiffPage:
    """A page to write.

    Attributes:
        levels: [height, width] or [height, width, samples], as they are to stand in the file.
        bits: Of a sample. Samples of 9 to 15 bits are packed.
        photometric: 0: white is zero, 1: black is zero, 2: RGB.
        tags: Further tags, by number; each value is one number or a list.
        compressed: Whether with Deflate.
        planes: Whether each sample has a plane of its own.
        rows_per_strip: None: one strip.
    """

    levels: NDArray[Any]
    bits: int
    photometric: int = 1
    tags: dict[int, int | list[int]] = field(default_factory=dict)
    compressed: bool = False
    planes: bool = False
    rows_per_strip: int | None = None


def tiff(*pages: TiffPage, order: str = "<") -> bytes:
    """Return a file of these pages. order: `<` or `>`."""
    data = bytearray(b"II*\0" if order == "<" else b"MM\0*")
    data += bytes(4)
    link = 4
    for page in pages:
        strips = [_strip(rows, page, order) for rows in _strips(page)]
        offsets = []
        for strip in strips:
            offsets.append(len(data))
            data += strip + bytes(len(strip) % 2)
        entries = _tags(page) | {273: offsets, 279: [len(strip) for strip in strips]}
        directory, outside = b"", bytearray()
        at = len(data) + 2 + 12 * len(entries) + 4
        for tag, value in sorted(entries.items()):
            values = value if isinstance(value, list) else [value]
            kind, code = (_LONG, "I") if tag in (256, 257, 273, 278, 279) else (_SHORT, "H")
            packed = struct.pack(f"{order}{len(values)}{code}", *values)
            if len(packed) > 4:
                place = at + len(outside)
                outside += packed + bytes(len(packed) % 2)
                packed = struct.pack(f"{order}I", place)
            directory += struct.pack(f"{order}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
        data[link : link + 4] = struct.pack(f"{order}I", len(data))
        data += struct.pack(f"{order}H", len(entries)) + directory
        link = len(data)
        data += bytes(4) + outside
    return bytes(data)


def _tags(page: TiffPage) -> dict[int, int | list[int]]:
    height, width = page.levels.shape[:2]
    samples = page.levels.shape[2] if page.levels.ndim == 3 else 1
    return {
        256: width,
        257: height,
        258: [page.bits] * samples,
        259: _DEFLATE if page.compressed else _RAW,
        262: page.photometric,
        277: samples,
        278: page.rows_per_strip or height,
        284: 2 if page.planes else 1,
        **page.tags,
    }


def _strips(page: TiffPage) -> Sequence[NDArray[Any]]:
    step = page.rows_per_strip or len(page.levels)
    planes = np.moveaxis(page.levels, 2, 0) if page.planes else [page.levels]
    return [plane[top : top + step] for plane in planes for top in range(0, len(plane), step)]


def _strip(rows: NDArray[Any], page: TiffPage, order: str) -> bytes:
    if page.levels.dtype.kind == "f" or page.bits in (8, 16, 32):
        kind = {"f": "f", "i": "i"}.get(page.levels.dtype.kind, "u")
        data = rows.astype(f"{order}{kind}{page.bits // 8}").tobytes()
    else:
        flat = rows.reshape(len(rows), -1).astype(np.uint32)
        shifts = np.arange(page.bits - 1, -1, -1, dtype=np.uint32)
        bits = (flat[..., None] >> shifts & 1).reshape(len(rows), -1).astype(np.uint8)
        data = np.packbits(bits, axis=1).tobytes()
    return zlib.compress(data) if page.compressed else data

"""Pictures of steel with defects, made up: deterministic by seed, with exact boxes.

    python -m training.datasets.synthetic --out DIR --count N --seed S [--size 200]

writes `DIR/images/*.jpg` and `DIR/annotations.json` (COCO). The six kinds bear the names of NEU-DET,
whose look they follow: a crop of hot-rolled strip, grey, lit unevenly. Every image is drawn from the
generator seeded with (seed, index) alone, so image 7 is the same whether 10 or 10,000 are made.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Floats = NDArray[np.float32]
Mask = NDArray[np.float32]

KINDS = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
CLEAN_SHARE = 0.2
SMALLEST = 96  # pixels
_SUPERSAMPLING = 2  # masks are drawn at twice the size: smooth edges, boxes exact to half a pixel


@dataclass(frozen=True, slots=True)
class Defect:
    """One defect: its kind and its box, (x1, y1, x2, y2) in pixels."""

    label: str
    box: tuple[float, float, float, float]


def draw(seed: int, index: int, size: int = 200, kind: str | None = None) -> tuple[Image.Image, list[Defect]]:
    """One greyscale picture and its defects; `kind` forces one of KINDS or "clean".

    >>> picture, defects = draw(seed=1, index=0, kind="scratches")
    >>> picture.size, {defect.label for defect in defects}
    ((200, 200), {'scratches'})
    """
    if size < SMALLEST:
        raise ValueError(f"defects need at least {SMALLEST} pixels to be seen, not {size}")
    rng = np.random.default_rng([seed, index])
    if kind is None:
        kind = "clean" if rng.random() < CLEAN_SHARE else KINDS[int(rng.integers(len(KINDS)))]
    surface = _surface(rng, size, kind)
    defects: list[Defect] = []
    if kind != "clean":
        wanted = (
            int(rng.integers(1, 4)) if kind not in ("pitted_surface", "crazing") else int(rng.integers(1, 3))
        )
        kinds = [kind] * wanted
        if rng.random() < 0.1:
            kinds.append(KINDS[int(rng.integers(len(KINDS)))])
        for each in kinds:
            _add(rng, surface, each, defects)
    grain = rng.normal(0, rng.uniform(0.008, 0.02), surface.shape)
    grey = np.clip((surface + grain) * 255, 0, 255).astype(np.uint8)
    return Image.fromarray(grey), defects


def generate(out: Path, count: int, seed: int, size: int = 200, quality: int = 92) -> Path:
    """Writes `count` JPEGs and their COCO file under `out`; returns the COCO file's path."""
    images = out / "images"
    images.mkdir(parents=True, exist_ok=True)
    coco: dict[str, list[dict[str, object]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": name} for number, name in enumerate(KINDS, start=1)],
    }
    for index in range(count):
        picture, defects = draw(seed, index, size)
        name = f"images/{seed}-{index:05d}.jpg"
        picture.save(out / name, quality=quality)
        coco["images"].append({"id": index + 1, "file_name": name, "width": size, "height": size})
        for defect in defects:
            x1, y1, x2, y2 = defect.box
            coco["annotations"].append(
                {
                    "id": len(coco["annotations"]) + 1,
                    "image_id": index + 1,
                    "category_id": KINDS.index(defect.label) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
    path = out / "annotations.json"
    path.write_text(json.dumps(coco, indent=1) + "\n")
    return path


def _noise(rng: np.random.Generator, size: int, across: float, down: float) -> Floats:
    """Unit-variance noise [size, size] smoothed by a Gaussian of `across` x `down` pixels."""
    field = _gaussian(rng.normal(size=(size, size)).astype(np.float32), across, down)
    unit: Floats = (field - field.mean()) / (field.std() + np.float32(1e-9))
    return unit


def _blur(mask: Mask, pixels: float) -> Mask:
    """The mask with edges `pixels` softer; padded, since the Fourier transform is periodic."""
    if pixels == 0:
        return mask
    return _gaussian(np.pad(mask, 8), pixels, pixels)[8:-8, 8:-8]


def _gaussian(image: Floats, across: float, down: float) -> Floats:
    fy = np.fft.fftfreq(image.shape[0])[:, None]
    fx = np.fft.rfftfreq(image.shape[1])[None, :]
    kernel = np.exp(-2 * np.pi**2 * ((fx * across) ** 2 + (fy * down) ** 2))
    smooth: Floats = np.fft.irfft2(np.fft.rfft2(image) * kernel, s=image.shape).astype(np.float32)
    return smooth


def _surface(rng: np.random.Generator, size: int, kind: str) -> Floats:
    """Steel without a defect, in 0..1: one of three finishes, shaded along and across the strip."""
    usual = {"crazing": 0, "patches": 0, "rolled-in_scale": 1, "clean": -1}.get(kind, 2)
    finish = int(rng.integers(3)) if usual < 0 or rng.random() < 0.3 else usual
    x = np.linspace(-1, 1, size, dtype=np.float32)
    if finish == 0:  # rough: coarse grain, strong contrast
        image = rng.uniform(0.35, 0.75) + rng.uniform(0.04, 0.08) * _noise(rng, size, 0.5, 0.5)
        image += rng.uniform(0.01, 0.04) * _noise(rng, size, 2, 2)
        image += rng.uniform(0.02, 0.07) * _noise(rng, size, 14, 200)  # vertical bands of the rolls
    elif finish == 1:  # brushed: fine diagonal or horizontal lines
        image = rng.uniform(0.3, 0.55) + rng.uniform(0.02, 0.05) * _noise(rng, size, 5, 0.7)
        image += rng.uniform(0.01, 0.04) * _noise(rng, size, 1, 1)
        image += rng.uniform(0.01, 0.03) * _noise(rng, size, 25, 10)
    else:  # smooth: nearly even
        image = rng.uniform(0.25, 0.85) + rng.uniform(0.004, 0.015) * _noise(rng, size, 1, 1.5)
        image += rng.uniform(0.005, 0.025) * _noise(rng, size, 20, 120)
    slope_x, slope_y, bulge = rng.normal(0, 0.05), rng.normal(0, 0.03), rng.normal(0, 0.05)
    image += slope_x * x[None, :] + slope_y * x[:, None] + bulge * (0.5 - x[None, :] ** 2)
    lit: Floats = np.clip(image, 0.08, 0.95).astype(np.float32)
    return lit


def _add(rng: np.random.Generator, surface: Floats, kind: str, defects: list[Defect]) -> None:
    """Draws one defect of `kind` onto `surface`, where it hardly overlaps the others."""
    for _ in range(10):
        mask = _PAINTERS[kind](rng, surface.shape[0])
        box = _extent(mask)
        if box is None or any(_overlap(box, other.box) > 0.2 for other in defects):
            continue
        _APPLY[kind](rng, surface, mask)
        defects.append(Defect(kind, box))
        return


def _extent(mask: Mask) -> tuple[float, float, float, float] | None:
    """The box around what is visible of the mask; None when that is too small to be called a defect."""
    rows, columns = np.flatnonzero(mask.max(axis=1) > 0.25), np.flatnonzero(mask.max(axis=0) > 0.25)
    if (
        len(rows) == 0
        or min(rows[-1] - rows[0], columns[-1] - columns[0]) < 3
        or len(rows) * len(columns) < 60
    ):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """The share of the smaller box that lies in the other one."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(width, 0) * max(height, 0) / smaller


class _Canvas:
    """A mask being drawn, in pixels of the final picture."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._image = Image.new("L", (size * _SUPERSAMPLING, size * _SUPERSAMPLING))
        self._pen = ImageDraw.Draw(self._image)

    def line(self, points: Floats, width: float, strength: float = 1.0) -> None:
        """A polyline [N, 2] of (x, y)."""
        path = [(float(x) * _SUPERSAMPLING, float(y) * _SUPERSAMPLING) for x, y in points]
        self._pen.line(
            path, fill=round(strength * 255), width=max(1, round(width * _SUPERSAMPLING)), joint="curve"
        )

    def blob(
        self, rng: np.random.Generator, x: float, y: float, rx: float, ry: float, wobble: float = 0.2
    ) -> None:
        """A filled outline around (x, y) whose radius wanders by `wobble`."""
        angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        radius = np.ones_like(angles)
        for harmonic in range(2, 10):
            radius += (
                wobble / harmonic**0.5 * rng.normal() * np.cos(harmonic * angles + rng.uniform(0, 6.3)) / 1.5
            )
        radius = np.clip(radius, 0.3, 1.8)
        xs, ys = x + rx * radius * np.cos(angles), y + ry * radius * np.sin(angles)
        self._pen.polygon(
            [(float(a) * _SUPERSAMPLING, float(b) * _SUPERSAMPLING) for a, b in zip(xs, ys, strict=True)],
            fill=255,
        )

    def mask(self) -> Mask:
        small = self._image.resize((self.size, self.size), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.float32) / np.float32(255)


def _region(
    rng: np.random.Generator, size: int, wide: tuple[float, float], high: tuple[float, float]
) -> tuple[float, float, float, float]:
    """A random rectangle (x, y, width, height) inside the picture; the ranges are shares of its size."""
    width, height = rng.uniform(*wide) * size, rng.uniform(*high) * size
    return rng.uniform(0, size - width), rng.uniform(0, size - height), width, height


def _crazing(rng: np.random.Generator, size: int) -> Mask:
    """Short forked cracks, many, in a band."""
    canvas = _Canvas(size)
    x, y, width, height = _region(rng, size, (0.4, 0.95), (0.2, 0.55))
    for _ in range(int(width * height / rng.uniform(110, 190))):
        heading = rng.uniform(0, 2 * np.pi)
        turns = np.cumsum(rng.normal(0, 0.7, int(rng.integers(4, 9)))) + heading
        steps = np.stack([np.cos(turns) * 1.3, np.sin(turns)], axis=1) * rng.uniform(1.5, 3.0)
        points = np.cumsum(
            np.vstack([[rng.uniform(x, x + width), rng.uniform(y, y + height)], steps]), axis=0
        )
        inside = np.clip(points, [x, y], [x + width, y + height]).astype(np.float32)
        canvas.line(inside, rng.uniform(0.6, 1.3), rng.uniform(0.6, 1.0))
    return canvas.mask()


def _inclusion(rng: np.random.Generator, size: int) -> Mask:
    """One to five upright streaks one above the other."""
    canvas = _Canvas(size)
    x, y, width, height = _region(rng, size, (0.05, 0.16), (0.2, 0.6))
    for _ in range(int(rng.integers(1, 6))):
        long = rng.uniform(0.15, 0.5) * height
        canvas.blob(
            rng, x + rng.uniform(0.25, 0.75) * width, y + rng.uniform(0, height - long) + long / 2,
            rng.uniform(1.2, 3.5), long / 2, wobble=0.12,
        )  # fmt: skip
    return canvas.mask()


def _patches(rng: np.random.Generator, size: int) -> Mask:
    """One dark island with a ragged shore."""
    canvas = _Canvas(size)
    x, y, width, height = _region(rng, size, (0.16, 0.4), (0.2, 0.6))
    canvas.blob(rng, x + width / 2, y + height / 2, width / 2, height / 2)
    return canvas.mask()


def _pitted(rng: np.random.Generator, size: int) -> Mask:
    """Many pits over a large part of the picture."""
    canvas = _Canvas(size)
    x, y, width, height = _region(rng, size, (0.4, 0.98), (0.6, 0.98))
    radius = rng.uniform(1.0, 2.4)
    for _ in range(int(width * height / (radius * radius) / rng.uniform(16, 34))):
        each = radius * rng.uniform(0.5, 1.4)
        canvas.blob(
            rng, rng.uniform(x + each, x + width - each), rng.uniform(y + each, y + height - each), each,
            each * rng.uniform(0.9, 1.7),
        )  # fmt: skip
    return canvas.mask()


def _scale(rng: np.random.Generator, size: int) -> Mask:
    """A cluster of flat, slightly tilted flecks."""
    canvas = _Canvas(size)
    x, y, width, height = _region(rng, size, (0.2, 0.5), (0.2, 0.55))
    for _ in range(int(width * height / rng.uniform(70, 140))):
        wide = rng.uniform(2.5, 6)
        canvas.blob(
            rng, rng.uniform(x + wide, x + width - wide), rng.uniform(y + 2, y + height - 2), wide,
            rng.uniform(0.8, 2.2), wobble=0.3,
        )  # fmt: skip
    return canvas.mask()


def _scratches(rng: np.random.Generator, size: int) -> Mask:
    """One to three nearly straight lines side by side, along the strip or across it."""
    canvas = _Canvas(size)
    length, bend = rng.uniform(0.25, 1.0) * size, rng.normal(0, 0.05) * size
    along, start = rng.uniform(0, size - length), rng.uniform(0.05, 0.95) * size
    lean = rng.normal(0, 0.08) * length
    upright = rng.random() < 0.7
    for _ in range(int(rng.integers(1, 4))):
        t = np.linspace(0, 1, 24)
        offset = start + rng.normal(0, 3) + lean * t + bend * t * (1 - t) + np.cumsum(rng.normal(0, 0.25, 24))
        cut = np.sort(rng.uniform(0, 1, 2)) if rng.random() < 0.4 else np.array([0.0, 1.0])
        kept = (t >= cut[0]) & (t <= cut[1])
        if kept.sum() < 8:
            continue
        points = np.stack([offset, along + t * length], axis=1)[kept]
        canvas.line((points if upright else points[:, ::-1]).astype(np.float32), rng.uniform(1.0, 4.0))
    return canvas.mask()


def _darken(
    low: float, high: float, soft: float = 0.0, mottled: float = 0.0
) -> Callable[[np.random.Generator, Floats, Mask], None]:
    """The picture times (1 - depth) under the mask: edges `soft` pixels wide, depth varying by `mottled`."""

    def apply(rng: np.random.Generator, surface: Floats, mask: Mask) -> None:
        size = surface.shape[0]
        depth = rng.uniform(low, high) * (1 + mottled * _noise(rng, size, 2.5, 2.5))
        surface *= 1 - _blur(mask, soft) * np.clip(depth, 0.05, 0.9)

    return apply


def _score(rng: np.random.Generator, surface: Floats, mask: Mask) -> None:
    """Scratches show bare metal: brighter than what is around them."""
    light = rng.uniform(0.3, 0.6) * (1 + 0.25 * _noise(rng, surface.shape[0], 1, 1))
    surface += mask * np.clip(light, 0.1, 0.7)


_PAINTERS: dict[str, Callable[[np.random.Generator, int], Mask]] = {
    "crazing": _crazing,
    "inclusion": _inclusion,
    "patches": _patches,
    "pitted_surface": _pitted,
    "rolled-in_scale": _scale,
    "scratches": _scratches,
}
_APPLY: dict[str, Callable[[np.random.Generator, Floats, Mask], None]] = {
    "crazing": _darken(0.45, 0.75),
    "inclusion": _darken(0.3, 0.6, soft=0.9),
    "patches": _darken(0.45, 0.7, soft=1.6, mottled=0.15),
    "pitted_surface": _darken(0.15, 0.4, soft=0.5, mottled=0.15),
    "rolled-in_scale": _darken(0.3, 0.55, soft=0.5, mottled=0.15),
    "scratches": _score,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.datasets.synthetic", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--count", type=int, required=True, help="number of images")
    parser.add_argument("--seed", type=int, required=True, help="same seed, same images")
    parser.add_argument("--size", type=int, default=200, help="edge in pixels (default 200)")
    options = parser.parse_args()
    if options.size < SMALLEST:
        parser.error(f"--size must be at least {SMALLEST}")
    generate(options.out, options.count, options.seed, options.size)


if __name__ == "__main__":
    main()

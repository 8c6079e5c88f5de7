"""How each kind of defect looks: a mask with its shape, and its effect on the steel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

# A picture [size, size] in 0..1.
Floats = NDArray[np.float32]
# A picture [size, size]: 1 where the defect is, 0 where it is not.
Mask = NDArray[np.float32]
Shape = Callable[[np.random.Generator, int], Mask]
Effect = Callable[[np.random.Generator, Floats, Mask], None]

# Masks are drawn at twice the size: smooth edges, and boxes exact to half a pixel.
_SUPERSAMPLING = 2
# The corners of a blob: their angles, the points at radius 1, and the waves that vary the radius.
_ANGLES = np.linspace(0, 2 * np.pi, 48, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_WAVES = np.arange(2, 10)
_PHASES = 6.3
# About a megabyte of waves.
_BLOBS_AT_ONCE = 256


def noise(rng: np.random.Generator, size: int, across: float, down: float) -> Floats:
    """Return noise [size, size] of unit variance, smoothed by a Gaussian of `across` x `down` pixels."""
    field = _gaussian(rng.normal(size=(size, size)).astype(np.float32), across, down)
    unit: Floats = (field - field.mean()) / (field.std() + np.float32(1e-9))
    return unit


def _blur(mask: Mask, pixels: float) -> Mask:
    """Return the mask with edges that are softer by `pixels`."""
    if pixels == 0:
        return mask
    # Padded, because the Fourier transform is periodic.
    return _gaussian(np.pad(mask, 8), pixels, pixels)[8:-8, 8:-8]


def _gaussian(image: Floats, across: float, down: float) -> Floats:
    fy = np.fft.fftfreq(image.shape[0])[:, None]
    fx = np.fft.rfftfreq(image.shape[1])[None, :]
    kernel = np.exp(-2 * np.pi**2 * ((fx * across) ** 2 + (fy * down) ** 2))
    smooth: Floats = np.fft.irfft2(np.fft.rfft2(image) * kernel, s=image.shape).astype(np.float32)
    return smooth


class _Canvas:
    """A mask while it is drawn, in pixels of the final picture."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._image = Image.new("L", (size * _SUPERSAMPLING, size * _SUPERSAMPLING))
        self._pen = ImageDraw.Draw(self._image)
        self._blobs: list[tuple[float, float, float, float, float]] = []
        self._waves: list[list[tuple[float, float]]] = []

    def line(self, points: Floats, width: float, strength: float = 1.0) -> None:
        """Draw a polyline through points (x, y), [N, 2]."""
        path = [(float(x) * _SUPERSAMPLING, float(y) * _SUPERSAMPLING) for x, y in points]
        self._pen.line(
            path, fill=round(strength * 255), width=max(1, round(width * _SUPERSAMPLING)), joint="curve"
        )

    def blob(
        self, rng: np.random.Generator, x: float, y: float, rx: float, ry: float, wobble: float = 0.2
    ) -> None:
        """Draw a filled outline around (x, y) whose radius varies by `wobble`."""
        self._blobs.append((x, y, rx, ry, wobble))
        # The numbers of normal() and uniform(0, 1), in a third of their time.
        self._waves.append([(rng.standard_normal(), rng.random()) for _ in _WAVES])
        if len(self._blobs) == _BLOBS_AT_ONCE:
            self._draw_blobs()

    def _draw_blobs(self) -> None:
        """Draw the blobs since the last call: numpy takes as long for one of them as for many."""
        if not self._blobs:
            return
        blobs, waves = np.array(self._blobs), np.array(self._waves)
        wobble, phases = blobs[:, 4:], _PHASES * waves[..., 1:]
        heights = wobble / np.sqrt(_WAVES) * waves[..., 0]
        bumps = heights[..., None] * np.cos(_WAVES[:, None] * _ANGLES + phases) / 1.5
        radius = np.clip(bumps.sum(axis=1, initial=1.0), 0.3, 1.8)
        points = blobs[:, None, :2] + blobs[:, None, 2:4] * radius[..., None] * _CIRCLE
        for outline in (points * _SUPERSAMPLING).reshape(len(blobs), -1).tolist():
            self._pen.polygon(outline, fill=255)
        self._blobs, self._waves = [], []

    def mask(self) -> Mask:
        """Return the mask at the size of the picture."""
        self._draw_blobs()
        small = self._image.resize((self.size, self.size), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.float32) / np.float32(255)


def _region(
    rng: np.random.Generator, size: int, wide: tuple[float, float], high: tuple[float, float]
) -> tuple[float, float, float, float]:
    """Return a random rectangle (x, y, width, height) in the picture; the ranges are shares of its size."""
    width, height = rng.uniform(*wide) * size, rng.uniform(*high) * size
    return rng.uniform(0, size - width), rng.uniform(0, size - height), width, height


def _crazing(rng: np.random.Generator, size: int) -> Mask:
    """Draw many short forked cracks in a band."""
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
    """Draw one to five upright streaks, one above the other."""
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
    """Draw one island with a ragged edge."""
    canvas = _Canvas(size)
    x, y, width, height = _region(rng, size, (0.16, 0.4), (0.2, 0.6))
    canvas.blob(rng, x + width / 2, y + height / 2, width / 2, height / 2)
    return canvas.mask()


def _pitted(rng: np.random.Generator, size: int) -> Mask:
    """Draw many pits over a large part of the picture."""
    canvas = _Canvas(size)
    x, y, width, height = _region(rng, size, (0.4, 0.98), (0.6, 0.98))
    radius = rng.uniform(1.0, 2.4)
    for _ in range(int(width * height / (radius * radius) / rng.uniform(16, 34))):
        wide = radius * rng.uniform(0.5, 1.4)
        canvas.blob(
            rng, rng.uniform(x + wide, x + width - wide), rng.uniform(y + wide, y + height - wide), wide,
            wide * rng.uniform(0.9, 1.7),
        )  # fmt: skip
    return canvas.mask()


def _scale(rng: np.random.Generator, size: int) -> Mask:
    """Draw a cluster of flat flecks."""
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
    """Draw one to three nearly straight lines side by side, along the strip or across it."""
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


def _darken(low: float, high: float, soft: float = 0.0, mottled: float = 0.0) -> Effect:
    """Return an effect that multiplies the picture by (1 - depth) under the mask.

    Args:
        low: The smallest depth.
        high: The largest depth.
        soft: The width of the mask's edges in pixels.
        mottled: How much the depth varies within the mask.
    """

    def apply(rng: np.random.Generator, surface: Floats, mask: Mask) -> None:
        size = surface.shape[0]
        depth = rng.uniform(low, high) * (1 + mottled * noise(rng, size, 2.5, 2.5))
        surface *= 1 - _blur(mask, soft) * np.clip(depth, 0.05, 0.9)

    return apply


def _brighten(rng: np.random.Generator, surface: Floats, mask: Mask) -> None:
    """Brighten the picture under the mask, because scratches show bare metal."""
    light = rng.uniform(0.3, 0.6) * (1 + 0.25 * noise(rng, surface.shape[0], 1, 1))
    surface += mask * np.clip(light, 0.1, 0.7)


SHAPES: dict[str, Shape] = {
    "crazing": _crazing,
    "inclusion": _inclusion,
    "patches": _patches,
    "pitted_surface": _pitted,
    "rolled-in_scale": _scale,
    "scratches": _scratches,
}
EFFECTS: dict[str, Effect] = {
    "crazing": _darken(0.45, 0.75),
    "inclusion": _darken(0.3, 0.6, soft=0.9),
    "patches": _darken(0.45, 0.7, soft=1.6, mottled=0.15),
    "pitted_surface": _darken(0.15, 0.4, soft=0.5, mottled=0.15),
    "rolled-in_scale": _darken(0.3, 0.55, soft=0.5, mottled=0.15),
    "scratches": _brighten,
}

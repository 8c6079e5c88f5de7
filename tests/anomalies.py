"""Generated pictures of good and of scratched parts, and an anomaly model that has really learned from them."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.job.container import Container
from training.model.artefact import pack

SIZE = (160, 120)


def good_pictures(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Write pictures of good parts, `good-<seed>-<number>.png`, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        path = folder / f"good-{seed}-{number}.png"
        _part(np.random.default_rng([seed, number])).save(path, compress_level=1)
        paths.append(path)
    return paths


def bad_pictures(folder: Path, count: int, seed: int = 0, masks: Path | None = None) -> list[Path]:
    """Write pictures of scratched parts, `bad-<seed>-<number>.png`, and return their paths.

    Args:
        folder: Of the pictures.
        count: How many.
        seed: Of the parts and of the scratches.
        masks: A folder for a mask of each picture with the same name, white where the scratch is.
    """
    for place in filter(None, (folder, masks)):
        place.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        path = folder / f"bad-{seed}-{number}.png"
        chance = np.random.default_rng([seed, number, 1])
        mask = _scratch(chance)
        picture = _part(chance)
        picture.paste((25, 20, 20), mask=mask)
        picture.save(path, compress_level=1)
        if masks is not None:
            mask.save(masks / path.name)
        paths.append(path)
    return paths


def anomaly_artefact(folder: Path) -> Path:
    """Return the path of `folder`/model.tar.gz: a model that has learned good pictures. One learns for all tests."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(_learned(), folder / "model.tar.gz"))


@functools.cache
def _learned() -> Path:
    # Here, since it takes seconds and most tests need the pictures only.
    from training.learning.anomalies.run import learn

    kept = tempfile.TemporaryDirectory()
    _folders.append(kept)
    root = Path(kept.name)
    good_pictures(root / "parts/normal", 24)
    settings = {
        "family": "patchcore_efficientnet_lite0",
        "name": "parts",
        "input_size": "96",
        "memory": "300",
    }
    container = Container(root / "job", {"train": root / "parts"}, settings)
    learn(container, _Silent())
    return pack(container.model, root / "model.tar.gz")


class _Silent:
    def event(self, name: str, fields: Mapping[str, Any]) -> None:
        """Say nothing: a test may read what its own program says."""


_folders: list[tempfile.TemporaryDirectory[str]] = []


def _part(chance: np.random.Generator) -> Image.Image:
    """Return a round part of brushed metal with three holes on a dark belt, never twice exactly the same."""
    width, height = SIZE
    across, down = (float(step) for step in chance.normal(0, 1.5, 2))
    belt = Image.fromarray(chance.normal(60, 5, (height, width)).clip(0, 255).astype(np.uint8))
    lines = chance.normal(175, 9, (height, 1)) + chance.normal(0, 4, (height, width))
    metal = Image.fromarray(lines.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
    shape = Image.new("L", SIZE)
    draw = ImageDraw.Draw(shape)
    centre = width / 2 + across, height / 2 + down
    draw.ellipse(_circle(*centre, 48), fill=255)
    for step in range(3):
        angle = 2 * np.pi * step / 3 + chance.normal(0, 0.03)
        place = centre[0] + 28 * np.cos(angle), centre[1] + 28 * np.sin(angle)
        draw.ellipse(_circle(*place, 8), fill=0)
    belt.paste(metal, mask=shape.filter(ImageFilter.GaussianBlur(0.8)))
    return belt.convert("RGB")


def _scratch(chance: np.random.Generator) -> Image.Image:
    width, height = SIZE
    mask = Image.new("L", SIZE)
    angle, half = chance.uniform(0, np.pi), chance.uniform(9, 16)
    middle = width / 2 + chance.uniform(-14, 14), height / 2 + chance.uniform(-14, 14)
    step = half * np.cos(angle), half * np.sin(angle)
    ends = [(middle[0] - step[0], middle[1] - step[1]), (middle[0] + step[0], middle[1] + step[1])]
    ImageDraw.Draw(mask).line(ends, fill=255, width=4)
    return mask


def _circle(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius

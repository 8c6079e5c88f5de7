"""Steel surfaces with defects, drawn from a seed, with exact boxes.

The six kinds have the names of NEU-DET's, and look like those: a crop of hot-rolled strip, grey, lit unevenly.
Every image is drawn from the generator seeded with (seed, index) alone, so image 7 is the same whether 10 or
10,000 are made.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from training.datasets.dataset import Object
from training.datasets.formats.coco import annotations_of, categories_of
from training.datasets.generated.defects import APPLY, PAINTERS, Floats, Mask, noise

KINDS = tuple(PAINTERS)
CLEAN_SHARE = 0.2
SMALLEST = 96  # pixels


def draw(
    seed: int, index: int, size: int = 200, kind: str | None = None, defect_size: int | None = None
) -> tuple[Image.Image, list[Object]]:
    """One greyscale picture and its defects; `kind` forces one of KINDS or "clean".

    defect_size: each defect is drawn inside a square of so many pixels, anywhere; without it the whole
    picture is that square.

    >>> picture, defects = draw(seed=1, index=2, kind="scratches")
    >>> picture.size, {defect.label for defect in defects}
    ((200, 200), {'scratches'})
    """
    if min(size, defect_size or size) < SMALLEST or (defect_size or 0) > size:
        raise ValueError(f"defects need from {SMALLEST} pixels to be seen up to the picture's {size}")
    rng = np.random.default_rng([seed, index])
    if kind is None:
        kind = "clean" if rng.random() < CLEAN_SHARE else KINDS[int(rng.integers(len(KINDS)))]
    surface = _surface(rng, size, kind)
    defects: list[Object] = []
    if kind != "clean":
        wanted = (
            int(rng.integers(1, 4)) if kind not in ("pitted_surface", "crazing") else int(rng.integers(1, 3))
        )
        kinds = [kind] * wanted
        if rng.random() < 0.1:
            kinds.append(KINDS[int(rng.integers(len(KINDS)))])
        for each in kinds:
            _add(rng, surface, each, defects, defect_size)
    grain = rng.normal(0, rng.uniform(0.008, 0.02), surface.shape)
    grey = np.clip((surface + grain) * 255, 0, 255).astype(np.uint8)
    return Image.fromarray(grey), defects


def generate(
    out: Path, count: int, seed: int, size: int = 200, quality: int = 92, defect_size: int | None = None
) -> Path:
    """Writes `count` JPEGs and their COCO file under `out`; returns the COCO file's path."""
    images = out / "images"
    images.mkdir(parents=True, exist_ok=True)
    listed: list[dict[str, object]] = []
    objects: list[list[Object]] = []
    for index in range(count):
        picture, defects = draw(seed, index, size, defect_size=defect_size)
        name = f"images/{seed}-{index:05d}.jpg"
        picture.save(out / name, quality=quality)
        listed.append({"id": index + 1, "file_name": name, "width": size, "height": size})
        objects.append(defects)
    document = {
        "images": listed,
        "annotations": annotations_of(objects, KINDS),
        "categories": categories_of(KINDS),
    }
    path = out / "annotations.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def _surface(rng: np.random.Generator, size: int, kind: str) -> Floats:
    """Steel without a defect, in 0..1: one of three finishes, shaded along and across the strip."""
    usual = {"crazing": 0, "patches": 0, "rolled-in_scale": 1, "clean": -1}.get(kind, 2)
    finish = int(rng.integers(3)) if usual < 0 or rng.random() < 0.3 else usual
    x = np.linspace(-1, 1, size, dtype=np.float32)
    if finish == 0:  # rough: coarse grain, strong contrast
        image = rng.uniform(0.35, 0.75) + rng.uniform(0.04, 0.08) * noise(rng, size, 0.5, 0.5)
        image += rng.uniform(0.01, 0.04) * noise(rng, size, 2, 2)
        image += rng.uniform(0.02, 0.07) * noise(rng, size, 14, 200)  # vertical bands of the rolls
    elif finish == 1:  # brushed: fine diagonal or horizontal lines
        image = rng.uniform(0.3, 0.55) + rng.uniform(0.02, 0.05) * noise(rng, size, 5, 0.7)
        image += rng.uniform(0.01, 0.04) * noise(rng, size, 1, 1)
        image += rng.uniform(0.01, 0.03) * noise(rng, size, 25, 10)
    else:  # smooth: nearly even
        image = rng.uniform(0.25, 0.85) + rng.uniform(0.004, 0.015) * noise(rng, size, 1, 1.5)
        image += rng.uniform(0.005, 0.025) * noise(rng, size, 20, 120)
    slope_x, slope_y, bulge = rng.normal(0, 0.05), rng.normal(0, 0.03), rng.normal(0, 0.05)
    image += slope_x * x[None, :] + slope_y * x[:, None] + bulge * (0.5 - x[None, :] ** 2)
    lit: Floats = np.clip(image, 0.08, 0.95).astype(np.float32)
    return lit


def _add(
    rng: np.random.Generator, surface: Floats, kind: str, defects: list[Object], defect_size: int | None
) -> None:
    """Draws one defect of `kind` onto `surface`, where it hardly overlaps the others."""
    size = surface.shape[0]
    for _ in range(10):
        mask = PAINTERS[kind](rng, defect_size or size)
        if defect_size is not None:
            left, top = (int(value) for value in rng.integers(0, size - defect_size + 1, 2))
            mask = np.pad(mask, ((top, size - defect_size - top), (left, size - defect_size - left)))
        box = _extent(mask)
        if box is None or any(_overlap(box, other.box) > 0.2 for other in defects):
            continue
        APPLY[kind](rng, surface, mask)
        defects.append(Object(kind, box))
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

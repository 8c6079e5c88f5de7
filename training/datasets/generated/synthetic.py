"""Steel surfaces with defects and exact boxes, drawn from a seed.

The six kinds of defects have the names of NEU-DET's kinds and look like them: a crop of hot-rolled strip, grey, lit
unevenly. Each image depends on (seed, index) alone, so image 7 is the same whether 10 or 10,000 images are drawn.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from training.datasets.dataset import Box, Object
from training.datasets.formats.coco import annotations_of, categories_of
from training.datasets.generated.defects import EFFECTS, SHAPES, Floats, Mask, noise

KINDS = tuple(SHAPES)
CLEAN_SHARE = 0.2
# Pixels; on a smaller picture the defects cannot be recognised.
SMALLEST = 96


def are_valid_sizes(size: int, defect_size: int | None) -> bool:
    """Return whether both sizes are large enough, and a defect fits into the picture."""
    return SMALLEST <= (defect_size or size) <= size


def draw(
    seed: int, index: int, size: int = 200, kind: str | None = None, defect_size: int | None = None
) -> tuple[Image.Image, list[Object]]:
    """Draw one greyscale picture.

    Args:
        seed: With `index` it decides everything about the picture.
        index: The picture's number.
        size: The picture's edge in pixels.
        kind: One of KINDS, or "clean"; chosen at random if it is not given.
        defect_size: The edge in pixels of the square that contains each defect, anywhere in the picture; by default
            the whole picture.

    Returns:
        The picture and its defects.

    Raises:
        ValueError: A size is below SMALLEST, or `defect_size` above `size`.

    >>> picture, defects = draw(seed=1, index=2, kind="scratches")
    >>> picture.size, {defect.label for defect in defects}
    ((200, 200), {'scratches'})
    """
    if not are_valid_sizes(size, defect_size):
        raise ValueError(f"size and defect_size must be at least {SMALLEST}, and defect_size at most {size}")
    rng = np.random.default_rng([seed, index])
    if kind is None:
        kind = "clean" if rng.random() < CLEAN_SHARE else KINDS[int(rng.integers(len(KINDS)))]
    surface = _surface(rng, size, kind)
    defects: list[Object] = []
    if kind != "clean":
        # Pits and cracks cover large areas, so there is room for fewer.
        most = 2 if kind in ("pitted_surface", "crazing") else 3
        kinds = [kind] * int(rng.integers(1, most + 1))
        if rng.random() < 0.1:
            kinds.append(KINDS[int(rng.integers(len(KINDS)))])
        for defect_kind in kinds:
            _add(rng, surface, defect_kind, defects, defect_size)
    grain = rng.normal(0, rng.uniform(0.008, 0.02), surface.shape)
    grey = np.clip((surface + grain) * 255, 0, 255).astype(np.uint8)
    return Image.fromarray(grey), defects


def generate(
    out: Path, count: int, seed: int, size: int = 200, quality: int = 92, defect_size: int | None = None
) -> Path:
    """Draw pictures and write them with their labels.

    Args:
        out: The folder for `annotations.json` (COCO) and `images/*.jpg`.
        count: The number of pictures.
        seed: The same seed draws the same pictures.
        size: The edge of a picture in pixels.
        quality: Of the JPEGs.
        defect_size: As in `draw`.

    Returns:
        The path of the COCO file.

    Raises:
        ValueError: A size is not allowed, as in `draw`.
    """
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
    """Draw steel without a defect, in 0..1: one of three finishes, shaded along and across the strip."""
    # The finish on which a kind of defect usually occurs; -1 for any.
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
    """Draw one defect of `kind` onto `surface` where it hardly overlaps the others; give up after ten tries."""
    size = surface.shape[0]
    for _ in range(10):
        mask = SHAPES[kind](rng, defect_size or size)
        if defect_size is not None:
            left, top = (int(value) for value in rng.integers(0, size - defect_size + 1, 2))
            mask = np.pad(mask, ((top, size - defect_size - top), (left, size - defect_size - left)))
        box = _visible_box(mask)
        if box is None or any(_overlap(box, other.box) > 0.2 for other in defects):
            continue
        EFFECTS[kind](rng, surface, mask)
        defects.append(Object(kind, box))
        return


def _visible_box(mask: Mask) -> Box | None:
    """Return the box around the visible part of the mask; None if it is too small to be a defect."""
    rows, columns = np.flatnonzero(mask.max(axis=1) > 0.25), np.flatnonzero(mask.max(axis=0) > 0.25)
    if len(rows) * len(columns) < 60 or min(rows[-1] - rows[0], columns[-1] - columns[0]) < 3:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _overlap(a: Box, b: Box) -> float:
    """Return the share of the smaller box that is inside the other one."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(width, 0) * max(height, 0) / smaller

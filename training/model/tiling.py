"""Detect in a large picture at full resolution, by overlapping tiles: one function for evaluate and serve.

A detector's input has a few hundred pixels a side, a camera's picture thousands. Stretched to that input, a scratch of
20 pixels disappears. So a picture larger than a tile goes through the detector tile by tile, and once more as a whole
for defects larger than a tile. training.model.merging joins detections that are cut at the seams.

Slicing with overlap follows F. C. Akyon et al., "Slicing Aided Hyper Inference", ICIP 2022, section 3. Their merging
keeps the stronger of two pieces; ours asks first whether they are pieces of one defect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.job.errors import TrainingError
from training.model.decoding import Detections
from training.model.merging import merge
from training.model.pixels import Picture

Detect = Callable[[Sequence[NDArray[np.uint8]]], list[Detections]]


class TilesError(TrainingError):
    """A setting of tiles is not usable."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """How a large picture is cut into tiles. model.json keeps it.

    Attributes:
        size: Edge of a tile in pixels of the picture. The tile is stretched to the model's input. A picture with
            no side above `size` is not cut.
        overlap: Of neighbours, as a share of the edge, 0..0.5. A defect up to that size is whole in some tile.
        max_tiles: Of one picture. Larger pictures get larger tiles, not more of them, so that time is bounded.
    """

    size: int
    overlap: float = 0.2
    max_tiles: int = 256

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            TilesError: A setting is out of range; the message names it.
        """
        if self.size < 32:
            raise TilesError(f"tiles: size must be at least 32 pixels, not {self.size}")
        if not 0 <= self.overlap <= 0.5:
            raise TilesError(f"tiles: overlap must be from 0 to 0.5, not {self.overlap}")
        if self.max_tiles < 1:
            raise TilesError(f"tiles: max_tiles must be at least 1, not {self.max_tiles}")


def plan(width: int, height: int, tiles: Tiles) -> NDArray[np.int64]:
    """Return the tiles of a picture, evenly spread, row by row.

    Args:
        width: The picture's, in pixels.
        height: As width.
        tiles: How to cut it.

    Returns:
        [N, 4] as (x1, y1, x2, y2) in pixels of the picture.

    >>> plan(1800, 900, Tiles(1000, overlap=0.2)).tolist()
    [[0, 0, 1000, 900], [800, 0, 1800, 900]]
    """
    edge = tiles.size
    while True:
        columns, rows = _starts(width, edge, tiles.overlap), _starts(height, edge, tiles.overlap)
        if len(columns) * len(rows) <= tiles.max_tiles:
            break
        edge = ceil(edge * 1.05)
    return np.array(
        [[x, y, min(x + edge, width), min(y + edge, height)] for y in rows for x in columns], np.int64
    )


def tile_edge(tile_boxes: NDArray[np.int64]) -> int:
    """Return the edge of tiles, in pixels of the picture; a narrow picture cuts them short on one side."""
    return int((tile_boxes[:, 2:] - tile_boxes[:, :2]).max())


def _starts(length: int, edge: int, overlap: float) -> list[int]:
    if length <= edge:
        return [0]
    stride = max(1, int(edge * (1 - overlap)))
    steps = ceil((length - edge) / stride)
    return [round(step * (length - edge) / steps) for step in range(steps + 1)]


def detect_in_tiles(
    detect: Detect,
    picture: Picture,
    tiles: Tiles | None,
    max_detections: int = 100,
    batch_size: int = 8,
    before_batch: Callable[[], None] = lambda: None,
) -> Detections:
    """Return the detections of one picture, by tiles if `tiles` is set and the picture is large enough.

    Args:
        detect: The detector, for a list of uint8 [size, size, 3] of the model's input size. Its errors pass through.
        picture: Decoded with `full_above=tiles.size`, so that it keeps its full resolution.
        tiles: How to cut it; None: not at all.
        max_detections: The most detections to return.
        batch_size: The most views that `detect` gets at a time.
        before_batch: Called before each batch. What it raises ends the detection.

    Returns:
        Boxes in 0..1 of the picture, best first.
    """
    if tiles is None or picture.full is None:
        return detect([picture.pixels])[0]
    tile_boxes = plan(picture.width, picture.height, tiles)
    views = _views(picture, picture.full, tile_boxes)
    per_view: list[Detections] = []
    while batch := [view for _, view in zip(range(batch_size), views, strict=False)]:
        before_batch()
        per_view += detect(batch)
    merged = merge(per_view[0], per_view[1:], tile_boxes, picture.width, picture.height)
    return Detections(
        merged.boxes[:max_detections], merged.scores[:max_detections], merged.classes[:max_detections]
    )


def _views(picture: Picture, full: Image.Image, tile_boxes: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """The whole picture, then each tile, as the model's input.

    A narrow picture cuts its tiles short. Their last row or column is repeated, so that a defect keeps its proportions.
    """
    yield picture.pixels
    size, edge = len(picture.pixels), tile_edge(tile_boxes)
    for x1, y1, x2, y2 in tile_boxes.tolist():
        width, height = (max(1, round(size * side / edge)) for side in (x2 - x1, y2 - y1))
        tile = full.resize((width, height), Image.Resampling.BILINEAR, box=(x1, y1, x2, y2))
        pixels = np.asarray(tile.convert("RGB"))
        if (width, height) != (size, size):
            pixels = np.pad(pixels, ((0, size - height), (0, size - width), (0, 0)), mode="edge")
        yield pixels

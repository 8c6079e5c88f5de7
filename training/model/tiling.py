"""Judging a large picture at full resolution, by overlapping tiles: one function for evaluate and serve.

A detector's input has a few hundred pixels a side, a camera's picture thousands; stretched to that input, a
scratch of 20 pixels is gone. So a picture larger than a tile is judged tile by tile, and once more as a whole,
for defects larger than a tile. Detections that lie across the seams of tiles are put together again.

Slicing with overlap follows F. C. Akyon et al., "Slicing Aided Hyper Inference", ICIP 2022, section 3; their
merging keeps the stronger of two pieces, ours asks first whether they are pieces of one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.job.errors import TrainingError
from training.model.decoding import Detections, Floats, iou
from training.model.pixels import Picture

Detect = Callable[[Sequence[NDArray[np.uint8]]], list[Detections]]

# Chosen on 80 drawn pictures of 800 pixels with the starter model and tiles of 200 (mAP 0.45 and 0.50 at an
# overlap of 0.2, 0.52 at 0.4; 0.32 to 0.42 with a narrower border, a lower share of the score, or a looser fit).
_AT_BORDER = 0.03  # of a tile's edge: a box that ends so near to an inner border goes on behind it
_SEAM = 0.15  # the share of the shorter piece that two pieces must have in common along their seam
_SEEN = 0.65  # IoU of a piece with what its tile can see of a larger box
_ALIKE = 0.5  # a piece with a lower share of the other's score is noise, and must not stretch a real box
_SAME = 0.4  # IoU above which boxes of different tiles are the same defect
_MOST = 2000  # boxes to merge, best first: the work is quadratic in them


class TilesError(TrainingError):
    """A setting of tiles is not usable."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """How a large picture is cut; kept in model.json. A picture with no side above `size` is not cut.

    size: edge of a tile in pixels of the original; it is stretched to the model's input.
    overlap: of neighbours, as a share of the edge, 0..0.5; a defect up to that size is whole in some tile.
    max_tiles: of one picture; larger pictures get larger tiles, not more of them, so that time is bounded.
    """

    size: int
    overlap: float = 0.2
    max_tiles: int = 256

    def __post_init__(self) -> None:
        """Raises TilesError, naming the setting that is wrong."""
        if self.size < 32:
            raise TilesError(f"tiles: size must be at least 32 pixels, not {self.size}")
        if not 0 <= self.overlap <= 0.5:
            raise TilesError(f"tiles: overlap must be from 0 to 0.5, not {self.overlap}")
        if self.max_tiles < 1:
            raise TilesError(f"tiles: max_tiles must be at least 1, not {self.max_tiles}")


def plan(width: int, height: int, tiles: Tiles) -> NDArray[np.int64]:
    """The tiles of a picture, [N, 4] as (x1, y1, x2, y2) in its pixels, evenly spread, row by row.

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


def _starts(length: int, edge: int, overlap: float) -> list[int]:
    if length <= edge:
        return [0]
    stride = max(1, int(edge * (1 - overlap)))
    steps = ceil((length - edge) / stride)
    return [round(step * (length - edge) / steps) for step in range(steps + 1)]


def judge(
    detect: Detect,
    picture: Picture,
    tiles: Tiles | None,
    most: int = 100,
    batch: int = 8,
    between: Callable[[], None] = lambda: None,
) -> Detections:
    """The detections of one picture, boxes in 0..1 of it; by tiles if `tiles` says so and it is large enough.

    picture: decoded with `full_above=tiles.size`, so that its full resolution is at hand.
    most: detections to return.
    detect: takes at most `batch` pictures of the model's input size at a time; its errors pass through.
    between: called before each batch; what it raises ends the judging.
    """
    if tiles is None or picture.full is None:
        return detect([picture.pixels])[0]
    where = plan(picture.width, picture.height, tiles)
    views, found = _views(picture, where), []
    while chunk := [view for _, view in zip(range(batch), views, strict=False)]:
        between()
        found += detect(chunk)
    merged = merge(found[0], found[1:], where, picture.width, picture.height)
    return Detections(merged.boxes[:most], merged.scores[:most], merged.classes[:most])


def _views(picture: Picture, where: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """The whole picture, then each tile, as the model's input; a tile cut short by a narrow picture is
    continued by its last row or column, so that a defect keeps its proportions.
    """
    yield picture.pixels
    assert picture.full is not None  # noqa: S101 - the caller's promise
    size, edge = len(picture.pixels), int((where[:, 2:] - where[:, :2]).max())
    for x1, y1, x2, y2 in where.tolist():
        width, height = (max(1, round(size * side / edge)) for side in (x2 - x1, y2 - y1))
        tile = picture.full.resize((width, height), Image.Resampling.BILINEAR, box=(x1, y1, x2, y2))
        pixels = np.asarray(tile.convert("RGB"))
        if (width, height) != (size, size):
            pixels = np.pad(pixels, ((0, size - height), (0, size - width), (0, 0)), mode="edge")
        yield pixels


def merge(
    whole: Detections, parts: Sequence[Detections], where: NDArray[np.int64], width: int, height: int
) -> Detections:
    """One list of detections, boxes in 0..1 of the picture, best first.

    whole: of the picture at once, boxes in 0..1 of it. parts: of each tile, boxes in 0..1 of its square.
    where: the tiles, [N, 4] in pixels.

    Per class: pieces that are cut at facing inner borders of two tiles and meet there become one box; a piece
    joins a larger box of which it is the part that its tile can see; of boxes from different tiles that are
    the same, the better stays. The whole picture's small boxes are dropped: tiles have seen these better.
    """
    edge = float((where[:, 2:] - where[:, :2]).max())
    scale = np.array([width, height, width, height], np.float32)
    origins = [np.tile(tile[:2], 2).astype(np.float32) for tile in where]
    boxes = np.concatenate(
        [whole.boxes * scale]
        + [np.clip(part.boxes * edge + origin, 0, scale) for part, origin in zip(parts, origins, strict=True)]
    ).astype(np.float32)
    source = np.repeat(np.arange(-1, len(parts)), [len(whole.scores), *(len(part.scores) for part in parts)])
    scores = np.concatenate([whole.scores, *(part.scores for part in parts)])
    classes = np.concatenate([whole.classes, *(part.classes for part in parts)])
    # What overlaps by less than this may have been cut in every tile; smaller things were whole in one.
    surely_whole = _overlap(where, edge)
    sides = boxes[:, 2:] - boxes[:, :2]
    keep = (sides > 0).all(1) & ((source >= 0) | (sides >= surely_whole).any(1))
    chosen = np.flatnonzero(keep)[np.argsort(-scores[keep], kind="stable")[:_MOST]]
    boxes, source, scores, classes = boxes[chosen], source[chosen], scores[chosen], classes[chosen]
    results = [
        (*each, number)
        for number in np.unique(classes)
        for each in _one_class(
            boxes[classes == number], source[classes == number], scores[classes == number], where, edge
        )
    ]
    results.sort(key=lambda each: -each[1])
    return Detections(
        np.array([box for box, _, _ in results], np.float32).reshape(-1, 4) / scale,
        np.array([score for _, score, _ in results], np.float32),
        np.array([number for _, _, number in results], np.int64),
    )


def _overlap(where: NDArray[np.int64], edge: float) -> float:
    """The least overlap of neighbouring tiles in pixels; 0 for a single one."""
    steps = [np.diff(np.unique(where[:, axis])) for axis in (0, 1)]
    return min((edge - float(step.max()) for step in steps if len(step)), default=0.0)


def _one_class(
    boxes: Floats, source: NDArray[np.int64], scores: Floats, where: NDArray[np.int64], edge: float
) -> list[tuple[Floats, float]]:
    group = _groups(_linked(boxes, source, scores, where, edge))
    members = [np.flatnonzero(group == number) for number in np.unique(group)]
    # Boxes of tiles before those of the whole picture, which are coarser.
    members.sort(key=lambda each: (bool((source[each] < 0).all()), -float(scores[each].max())))
    merged = np.array([_hull(boxes[each], source[each]) for each in members], np.float32)
    best = np.array([scores[each].max() for each in members], np.float32)
    seen_by: NDArray[np.int64] = np.array(
        [source[each[0]] if len(set(source[each])) == 1 else -2 for each in members], np.int64
    )
    # Boxes of one tile have been through the detector's own suppression already.
    apart: NDArray[np.bool_] = np.not_equal.outer(seen_by, seen_by) | (seen_by == -2)
    same: NDArray[np.bool_] = np.logical_and(iou(merged, merged) > _SAME, apart)
    kept: list[int] = []
    for index in range(len(members)):
        double = [each for each in kept if same[each, index]]
        if double:
            best[double[0]] = max(best[double[0]], best[index])
        else:
            kept.append(index)
    return [(merged[each], float(best[each])) for each in kept]


def _hull(boxes: Floats, source: NDArray[np.int64]) -> Floats:
    """The box around the pieces; a box of the whole picture counts only if the pieces do not fill it."""
    pieces = boxes[source >= 0]
    around = np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])
    if 0 < len(pieces) < len(boxes):
        fine = np.concatenate([pieces[:, :2].min(0), pieces[:, 2:].max(0)])
        return fine if iou(fine[None], around[None])[0, 0] >= 0.7 else around
    return around


def _linked(
    boxes: Floats, source: NDArray[np.int64], scores: Floats, where: NDArray[np.int64], edge: float
) -> NDArray[np.bool_]:
    """Which boxes [N, 4] are views of one thing: [N, N], symmetric."""
    tile = where[source].astype(np.float32)  # of the whole picture's boxes any; they are never cut
    inner = np.concatenate([tile[:, :2] > where[:, :2].min(0), tile[:, 2:] < where[:, 2:].max(0)], axis=1)
    cut = inner & (np.abs(boxes - tile) <= _AT_BORDER * edge) & (source >= 0)[:, None]
    linked: NDArray[np.bool_] = np.zeros((len(boxes), len(boxes)), dtype=bool)
    other = source[:, None] != source[None, :]
    for axis in (0, 1):
        along = 1 - axis
        meet = (boxes[None, :, axis] - boxes[:, None, axis + 2]) <= 2 * _AT_BORDER * edge
        behind = boxes[None, :, axis + 2] >= boxes[:, None, axis + 2]
        shared = np.minimum(boxes[:, None, along + 2], boxes[None, :, along + 2]) - np.maximum(
            boxes[:, None, along], boxes[None, :, along]
        )
        length = boxes[:, along + 2] - boxes[:, along]
        enough = shared >= _SEAM * np.minimum(length[:, None], length[None, :])
        # The left piece ends at its tile's right border, the right one begins at its tile's left border.
        before = boxes[:, None, axis] <= boxes[None, :, axis]
        linked |= cut[:, None, axis + 2] & cut[None, :, axis] & meet & behind & before & enough & other
    pieces = np.flatnonzero(cut.any(axis=1))
    for piece in pieces:
        corners = np.concatenate(
            [np.maximum(boxes[:, :2], tile[piece, :2]), np.minimum(boxes[:, 2:], tile[piece, 2:])], axis=1
        )
        visible = np.where(np.all(corners[:, 2:] > corners[:, :2], axis=1, keepdims=True), corners, 0)
        linked[piece] |= (iou(boxes[piece][None], visible)[0] >= _SEEN) & other[piece]
    weaker = np.minimum(scores[:, None], scores[None, :])
    alike: NDArray[np.bool_] = weaker >= _ALIKE * np.maximum(scores[:, None], scores[None, :])
    result: NDArray[np.bool_] = np.logical_and(linked | linked.T, alike)
    return result


def _groups(linked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The connected components of a graph [N, N], as a number for each node."""
    group = np.full(len(linked), -1, np.int64)
    for start in range(len(linked)):
        front = np.zeros(len(linked), dtype=bool)
        front[start] = group[start] < 0
        while front.any():
            group[front] = start
            front = linked[front].any(axis=0) & (group < 0)
    return group

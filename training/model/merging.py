"""Merge what overlapping tiles, and the whole picture, detect into one list of detections.

A defect across the border of a tile is cut into pieces. A defect in the overlap of two tiles is detected twice. The
whole picture, shrunk to the model's input, shows every defect once more, but coarsely. Each rule below is one function:

1. `_small_in_whole_picture`: the whole picture's small boxes are dropped.
2. `_pieces_that_meet`: pieces that are cut at facing borders of two tiles, and meet there, are one defect.
3. `_visible_parts`: a piece that is the visible part of a larger box belongs to that box.
4. `_same_defect`: of two boxes of the same defect, seen by two tiles, the better one stays.

Rules 2 to 4 apply within a class. Rules 2 and 3 ask `_similar_scores`, too, so that noise does not stretch a real box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.model.decoding import Detections, Floats, iou

Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]

_WHOLE_PICTURE = -1  # instead of a tile's index
_SEVERAL_TILES = -2

# Chosen on 80 drawn pictures of 800 pixels with the starter model and tiles of 200 (mAP 0.45 and 0.50 at an
# overlap of 0.2, 0.52 at 0.4; 0.32 to 0.42 with a narrower border, a lower score ratio, or a looser visible IoU).
_BORDER_SHARE = 0.03  # of a tile's edge: a box that ends this near to an inner border continues behind it
_SEAM_SHARE = 0.15  # of the shorter piece: two pieces must have this much in common along their seam
_VISIBLE_IOU = 0.65  # of a piece with the part of a larger box that the piece's tile can see
_SCORE_RATIO = 0.5  # of the lower score to the higher one: below it, the weaker piece is noise
_SAME_IOU = 0.4  # above it, boxes of different tiles are the same defect
_FILLED_IOU = 0.7  # of the pieces' common box with the whole group's: above it, the pieces fill the group
_MAX_CANDIDATES = 2000  # best first: time and memory grow with their square


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Detections of all tiles and of the whole picture, in pixels of the picture.

    Attributes:
        boxes: [N, 4] as (x1, y1, x2, y2).
        scores: [N].
        classes: [N].
        tiles: [N] the index of the tile that shows each; _WHOLE_PICTURE for the whole picture.
    """

    boxes: Floats
    scores: Floats
    classes: Indices
    tiles: Indices

    def select(self, chosen: Flags | Indices) -> _Candidates:
        return _Candidates(self.boxes[chosen], self.scores[chosen], self.classes[chosen], self.tiles[chosen])


def merge(
    whole: Detections, per_tile: Sequence[Detections], tile_boxes: Indices, width: int, height: int
) -> Detections:
    """Merge the detections of tiles and of the whole picture by the rules of this module.

    Args:
        whole: Detections in the whole picture, boxes in 0..1 of it.
        per_tile: Detections in each tile, boxes in 0..1 of its square.
        tile_boxes: [N, 4] the tiles as (x1, y1, x2, y2) in pixels of the picture.
        width: The picture's, in pixels.
        height: As width.

    Returns:
        The merged detections, boxes in 0..1 of the picture, best first.
    """
    candidates = _in_pixels(whole, per_tile, tile_boxes, width, height)
    kept = _has_area(candidates) & ~_small_in_whole_picture(candidates, tile_boxes)
    candidates = candidates.select(kept)
    candidates = candidates.select(np.argsort(-candidates.scores, kind="stable")[:_MAX_CANDIDATES])
    merged = [
        (box, score, label)
        for label in np.unique(candidates.classes)
        for box, score in _merge_class(candidates.select(candidates.classes == label), tile_boxes)
    ]
    merged.sort(key=lambda detection: -detection[1])
    scale = np.array([width, height, width, height], np.float32)
    return Detections(
        np.array([box for box, _, _ in merged], np.float32).reshape(-1, 4) / scale,
        np.array([score for _, score, _ in merged], np.float32),
        np.array([label for _, _, label in merged], np.int64),
    )


def _in_pixels(
    whole: Detections, per_tile: Sequence[Detections], tile_boxes: Indices, width: int, height: int
) -> _Candidates:
    scale, edge = np.array([width, height, width, height], np.float32), _edge(tile_boxes)
    origins = [np.tile(tile[:2], 2).astype(np.float32) for tile in tile_boxes]
    in_tiles = [
        np.clip(tile.boxes * edge + origin, 0, scale) for tile, origin in zip(per_tile, origins, strict=True)
    ]
    everything = [whole, *per_tile]
    counts = [len(detections.scores) for detections in everything]
    return _Candidates(
        np.concatenate([whole.boxes * scale, *in_tiles]).astype(np.float32),
        np.concatenate([detections.scores for detections in everything]),
        np.concatenate([detections.classes for detections in everything]),
        np.repeat(np.arange(_WHOLE_PICTURE, len(per_tile)), counts),
    )


def _has_area(candidates: _Candidates) -> Flags:
    sides = candidates.boxes[:, 2:] - candidates.boxes[:, :2]
    return np.asarray((sides > 0).all(1))


def _small_in_whole_picture(candidates: _Candidates, tile_boxes: Indices) -> Flags:
    """Rule 1: which boxes [N] of the whole picture are smaller, in both directions, than the overlap of two tiles.

    Such a defect is whole in some tile, which shows it larger. A long thin box may be cut in every tile, and stays.

        A left       B left    A right      B right
          |            |          |            |
          |            |   [==]   |            |     whole in tiles A and B: dropped
          |     [======|==========|=====]      |     whole in no tile: stays
    """
    sides = candidates.boxes[:, 2:] - candidates.boxes[:, :2]
    may_be_cut = np.asarray((sides >= _overlap(tile_boxes)).any(1))
    small: Flags = (candidates.tiles == _WHOLE_PICTURE) & ~may_be_cut
    return small


def _merge_class(candidates: _Candidates, tile_boxes: Indices) -> list[tuple[Floats, float]]:
    """Return box and score of each defect of one class."""
    cut = _cut_edges(candidates, tile_boxes)
    linked = _pieces_that_meet(candidates, cut, tile_boxes) | _visible_parts(candidates, cut, tile_boxes)
    linked = (linked | linked.T) & _similar_scores(candidates.scores)
    groups = [candidates.select(group) for group in _connected(linked)]
    # Boxes of tiles come before those of the whole picture, which are coarser.
    groups.sort(key=lambda group: (bool((group.tiles < 0).all()), -float(group.scores.max())))
    boxes = np.array([_enclosing_box(group) for group in groups], np.float32)
    scores = np.array([group.scores.max() for group in groups], np.float32)
    same = _same_defect(boxes, np.array([_only_tile(group) for group in groups], np.int64))
    kept: list[int] = []
    for index in range(len(groups)):
        doubles = [earlier for earlier in kept if same[earlier, index]]
        if doubles:
            scores[doubles[0]] = max(scores[doubles[0]], scores[index])
        else:
            kept.append(index)
    return [(boxes[index], float(scores[index])) for index in kept]


def _cut_edges(candidates: _Candidates, tile_boxes: Indices) -> Flags:
    """Which edges (x1, y1, x2, y2) of each box are cut off by an inner border of its tile: [N, 4]."""
    boxes, tiles = candidates.boxes, _tiles_of(candidates, tile_boxes)
    inner = np.concatenate(
        [tiles[:, :2] > tile_boxes[:, :2].min(0), tiles[:, 2:] < tile_boxes[:, 2:].max(0)], axis=1
    )
    at_border = np.abs(boxes - tiles) <= _BORDER_SHARE * _edge(tile_boxes)
    cut: Flags = inner & at_border & (candidates.tiles != _WHOLE_PICTURE)[:, None]
    return cut


def _pieces_that_meet(candidates: _Candidates, cut: Flags, tile_boxes: Indices) -> Flags:
    """Rule 2: which pieces are cut at facing borders of two tiles, and meet there: [N, N], left (upper) piece first.

    They must share enough of the seam; pieces that only touch are two defects.

        A left       B left    A right      B right
          |            |          |            |
          |     [======|==========]            |     the piece of tile A, cut at A's right border
          |            [==========|=====]      |     the piece of tile B, cut at B's left border
          |     [======|==========|=====]      |     one box
    """
    boxes, edge = candidates.boxes, _edge(tile_boxes)
    meet: Flags = np.zeros((len(boxes), len(boxes)), dtype=bool)
    for axis in (0, 1):
        start, end = boxes[:, axis], boxes[:, axis + 2]
        near = (start[None, :] - end[:, None]) <= 2 * _BORDER_SHARE * edge
        in_order = (start[:, None] <= start[None, :]) & (end[None, :] >= end[:, None])
        side_start, side_end = boxes[:, 1 - axis], boxes[:, 3 - axis]
        shared = np.minimum(side_end[:, None], side_end[None, :]) - np.maximum(
            side_start[:, None], side_start[None, :]
        )
        length = side_end - side_start
        enough = shared >= _SEAM_SHARE * np.minimum(length[:, None], length[None, :])
        meet |= cut[:, None, axis + 2] & cut[None, :, axis] & near & in_order & enough
    return meet & _of_different_tiles(candidates)


def _visible_parts(candidates: _Candidates, cut: Flags, tile_boxes: Indices) -> Flags:
    """Rule 3: which pieces are the part of a larger box that their tile can see: [N, N], the piece first.

    The larger box is another tile's, or the whole picture's.

        A left                 A right
          |                       |
          |      +----------------|---------+        the larger box
          |      |################|         |        #: the piece of tile A, about what A can see of it
          |      +----------------|---------+
    """
    boxes, tiles = candidates.boxes, _tiles_of(candidates, tile_boxes)
    parts: Flags = np.zeros((len(boxes), len(boxes)), dtype=bool)
    for piece in np.flatnonzero(cut.any(axis=1)):
        corners = np.concatenate(
            [np.maximum(boxes[:, :2], tiles[piece, :2]), np.minimum(boxes[:, 2:], tiles[piece, 2:])], axis=1
        )
        visible = np.where(np.all(corners[:, 2:] > corners[:, :2], axis=1, keepdims=True), corners, 0)
        parts[piece] = iou(boxes[piece][None], visible)[0] >= _VISIBLE_IOU
    return parts & _of_different_tiles(candidates)


def _similar_scores(scores: Floats) -> Flags:
    """Which pairs [N, N] have scores near enough to be pieces of one defect."""
    weaker, stronger = (choose(scores[:, None], scores[None, :]) for choose in (np.minimum, np.maximum))
    similar: Flags = weaker >= _SCORE_RATIO * stronger
    return similar


def _same_defect(boxes: Floats, tiles: Indices) -> Flags:
    """Rule 4: which boxes [N, 4] show the same defect, seen by different tiles: [N, N].

    Boxes of one tile are left alone: the detector's own suppression has already compared them.

        A left       B left    A right      B right
          |            |          |            |
          |            |  [====]  |            |     the box of tile A
          |            |  [=====] |            |     the box of tile B: the same defect, counted once
    """
    # Groups of several tiles count as different from each other.
    different: Flags = np.not_equal.outer(tiles, tiles) | (tiles == _SEVERAL_TILES)
    same: Flags = np.logical_and(iou(boxes, boxes) > _SAME_IOU, different)
    return same


def _enclosing_box(group: _Candidates) -> Floats:
    """The box around a group. A box of the whole picture counts only if the pieces of tiles do not fill it."""
    around = _box_around(group.boxes)
    pieces = group.boxes[group.tiles >= 0]
    if 0 < len(pieces) < len(group.boxes):
        fine = _box_around(pieces)
        return fine if iou(fine[None], around[None])[0, 0] >= _FILLED_IOU else around
    return around


def _box_around(boxes: Floats) -> Floats:
    return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])


def _only_tile(group: _Candidates) -> int:
    return int(group.tiles[0]) if len(set(group.tiles)) == 1 else _SEVERAL_TILES


def _of_different_tiles(candidates: _Candidates) -> Flags:
    different: Flags = np.not_equal.outer(candidates.tiles, candidates.tiles)
    return different


def _tiles_of(candidates: _Candidates, tile_boxes: Indices) -> Floats:
    """The tile [N, 4] of each candidate. The whole picture's boxes get any tile: `cut` is False for them."""
    return tile_boxes[candidates.tiles].astype(np.float32)


def _edge(tile_boxes: Indices) -> float:
    """The edge in pixels of the square that each tile was shown in; tiles of a narrow picture are cut short."""
    return float((tile_boxes[:, 2:] - tile_boxes[:, :2]).max())


def _overlap(tile_boxes: Indices) -> float:
    """The least overlap of neighbouring tiles in pixels; 0 for a single tile."""
    steps = [np.diff(np.unique(tile_boxes[:, axis])) for axis in (0, 1)]
    return min((_edge(tile_boxes) - float(step.max()) for step in steps if len(step)), default=0.0)


def _connected(linked: Flags) -> list[Indices]:
    """The connected components of a graph [N, N], each as the indices of its nodes."""
    group = np.full(len(linked), -1, np.int64)
    for start in range(len(linked)):
        front = np.zeros(len(linked), dtype=bool)
        front[start] = group[start] < 0
        while front.any():
            group[front] = start
            front = linked[front].any(axis=0) & (group < 0)
    return [np.flatnonzero(group == number) for number in np.unique(group)]

"""Where the labels of a picture go: beside their frames, and over nothing that a reader must see."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inspection.findings import Box

Size = tuple[int, int]

# A frame is small if a label over it would hide most of it.
_SMALL_FRAME_LABELS = 4  # areas of the label
# A label goes inside a frame only if the frame has room for several.
_ROOMY_LABELS = 8
_GAP = 2  # pixels between a label and what it must not touch
_RINGS, _DIRECTIONS = 16, 16
_CROSSING = 2.5  # one line hidden is about as bad as a label two rings away
# Whatever happens, the picture names the worst: their labels may cover small frames.
_ALWAYS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a label.

    Attributes:
        box: The label's box.
        leader: A line from the label to its frame, if it is not beside it: x1, y1, x2, y2.
    """

    box: Box
    leader: Box | None = None


def place_labels(frames: Sequence[Box], labels: Sequence[Size], canvas: Size) -> list[Place | None]:
    """Return a place for each label. No two overlap, and all are inside the picture.

    A label that has room neither beside its frame nor near it gets no place.

    Args:
        frames: The frames, the most important first.
        labels: The size of each frame's label, for as many of the first frames as have one.
        canvas: The size of the picture.
    """
    places: list[Place | None] = []
    taken: list[Box] = []
    for rank, (frame, size) in enumerate(zip(frames, labels, strict=False)):
        small = [other for other in frames if _area(other) < _SMALL_FRAME_LABELS * size[0] * size[1]]
        large = [other for other in frames if other not in small]
        place = _cheapest(frame, size, canvas, [taken, small], large)
        if place is None and rank < _ALWAYS_NAMED:
            place = _cheapest(frame, size, canvas, [taken], frames)
        places.append(place)
        if place:
            taken.append(place.box)
    return places


def _cheapest(
    frame: Box, size: Size, canvas: Size, obstacles: Sequence[Sequence[Box]], crossed: Sequence[Box]
) -> Place | None:
    """Return the best place that touches no obstacle. Of the frames `crossed`, a label should hide no line."""
    best, least = None, math.inf
    for cost, place in _candidates(frame, size):
        if cost >= least:
            break
        box = place.box
        if not _inside(box, canvas) or any(
            _touch(box, other, _GAP) for group in obstacles for other in group
        ):
            continue
        cost += _CROSSING * sum(_hides_a_line(box, other) for other in crossed if other != frame)
        if cost < least:
            best, least = place, cost
    return best


def _candidates(frame: Box, size: Size) -> Iterator[tuple[float, Place]]:
    """Yield places for a label with their costs: beside the frame, inside it, around it with a line to it."""
    left, top, right, bottom = frame
    width, height = size
    above, below = top - height - _GAP, bottom + _GAP
    before, centre, after = left - width - _GAP, (left + right - width) / 2, right + _GAP
    for x, y in (
        (left, above),
        (left, below),
        (right - width, above),
        (right - width, below),
        (centre, above),
        (centre, below),
        (after, top),
        (before, top),
        (after, bottom - height),
        (before, bottom - height),
    ):
        yield 0, Place((x, y, x + width, y + height))
    if _area(frame) >= _ROOMY_LABELS * width * height and right - left > width and bottom - top > 2 * height:
        inner_left, inner_right = left + _GAP, right - width - _GAP
        inner_top, inner_bottom = top + _GAP, bottom - height - _GAP
        for x, y in (
            (inner_left, inner_top),
            (inner_right, inner_top),
            (inner_left, inner_bottom),
            (inner_right, inner_bottom),
        ):
            yield 1, Place((x, y, x + width, y + height))
    for ring in range(1, _RINGS + 1):
        for step in range(_DIRECTIONS):
            angle = 2 * math.pi * step / _DIRECTIONS
            # At the same distance from the frame's edges on every side.
            x = (left + right - width) / 2 + math.cos(angle) * ((right - left + width) / 2 + height * ring)
            y = (top + bottom - height) / 2 + math.sin(angle) * ((bottom - top + height) / 2 + height * ring)
            box = (x, y, x + width, y + height)
            yield 1 + ring, Place(box, _leader(box, frame))


def _leader(label: Box, frame: Box) -> Box:
    """Return the line between the nearest points of a label and a frame."""
    (x1, x2), (y1, y2) = _nearest(label[0::2], frame[0::2]), _nearest(label[1::2], frame[1::2])
    return x1, y1, x2, y2


def _nearest(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Return the nearest coordinates of two spans, and the middle of what they share."""
    if one[1] < other[0]:
        return one[1], other[0]
    if other[1] < one[0]:
        return one[0], other[1]
    middle = (max(one[0], other[0]) + min(one[1], other[1])) / 2
    return middle, middle


def _inside(box: Box, canvas: Size) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= canvas[0] and box[3] <= canvas[1]


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _touch(one: Box, other: Box, gap: float) -> bool:
    return (
        one[0] < other[2] + gap
        and other[0] < one[2] + gap
        and one[1] < other[3] + gap
        and other[1] < one[3] + gap
    )


def _hides_a_line(label: Box, frame: Box) -> bool:
    within = label[0] > frame[0] and label[1] > frame[1] and label[2] < frame[2] and label[3] < frame[3]
    return not within and _touch(label, frame, 0)

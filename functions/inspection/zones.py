"""Where on the picture a detection counts: regions and ignored zones, as polygons, by line.

The share of a box is exact up to the rounding of floats. The picture is cut into horizontal slabs at every corner, at
every crossing of two edges, and where an edge crosses a side of the box. Within a slab no edge begins, ends or crosses
another, so the length that is covered changes linearly with y, and its value in the middle times the height is the
area: https://en.wikipedia.org/wiki/Trapezoidal_rule.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from inspection.strict import Strict

if TYPE_CHECKING:  # it imports boto3
    from inspection.detector import Size

Box = tuple[float, float, float, float]
Share = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Share, Share]
Edge = tuple[Point, Point]
Interval = tuple[float, float]

# A detection does not count if at most this share of its box lies where defects count.
MOST_INSPECTED = 0.1
_ROUNDING = 1e-9
# Of the picture: one pixel of a million.
_LEAST_AREA = 1e-6
_MOST_POINTS = 200
_CACHED = 256  # polygons: more than a document holds


def _checked(corners: tuple[Point, ...]) -> tuple[Point, ...]:
    """Return a polygon if it is one: three corners, none twice, an area, and no edges that meet."""
    if len(corners) < 3:
        raise ValueError("a polygon has at least 3 points")
    if len(set(corners)) < len(corners):
        raise ValueError("a point appears twice; the last one is joined to the first by itself")
    edges = _edges(corners)
    if abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in edges)) / 2 < _LEAST_AREA:
        raise ValueError("the polygon has no area")
    last = len(edges) - 1
    for (i, first), (j, second) in itertools.combinations(enumerate(edges), 2):
        neighbours = j == i + 1 or (i, j) == (0, last)
        if _overlap(first, second) if neighbours else _meet(first, second):
            raise ValueError("two edges of the polygon meet or cross each other")
    return corners


Polygon = Annotated[tuple[Point, ...], Field(max_length=50), AfterValidator(_checked)]


class Zones(Strict):
    """Where on a line's pictures a detection counts.

    Attributes:
        regions: Detections count in these only; none means everywhere.
        ignored: Detections do not count in these, also where they lie in a region.
    """

    regions: Annotated[tuple[Polygon, ...], Field(max_length=20)] = ()
    ignored: Annotated[tuple[Polygon, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _few_points(self) -> Self:
        # The time of an inspection grows with them.
        if (points := sum(map(len, (*self.regions, *self.ignored)))) > _MOST_POINTS:
            raise ValueError(f"the polygons have {points} points, at most {_MOST_POINTS} in all")
        return self

    def ignores(self, box: Box, size: Size) -> bool:
        """Return whether a detection does not count. One whose box has no area in the picture does.

        Args:
            box: x1, y1, x2, y2 in pixels of the upright picture.
            size: Of the upright picture.
        """
        if not self.regions and not self.ignored:
            return False
        share = self.inspected(_in_picture(box, size))
        return share is not None and share <= MOST_INSPECTED + _ROUNDING

    def inspected(self, box: Box) -> float | None:
        """Return the share of a box that lies in a region and in no ignored zone; None for a box without an area.

        Args:
            box: x1, y1, x2, y2 in 0..1 of the picture.

        >>> half = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
        >>> Zones.model_validate({"regions": [half]}).inspected((0.25, 0.0, 0.75, 0.5))
        0.5
        """
        return _inspected(self.regions, self.ignored, box)


# A preview asks for each box several times in a row.
@functools.lru_cache(1024)
def _inspected(all_regions: tuple[Polygon, ...], all_ignored: tuple[Polygon, ...], box: Box) -> float | None:
    left, top, right, bottom = box
    if left >= right or top >= bottom:
        return None
    regions, ignored = _near(all_regions, box), _near(all_ignored, box)
    if all_regions and not regions:
        return 0.0
    if not all_regions and not ignored:
        return 1.0
    within, without = list(map(_slopes, regions)), list(map(_slopes, ignored))
    area = 0.0
    for low, high in itertools.pairwise(_slabs((*regions, *ignored), box)):
        y = (low + high) / 2
        parts = _covered(within, y, left, right) if within else [(left, right)]
        length = sum(end - start for start, end in parts)
        for start, end in _covered(without, y, left, right):
            length -= sum(max(0.0, min(end, until) - max(start, since)) for since, until in parts)
        area += (high - low) * length
    return area / ((right - left) * (bottom - top))


def _near(polygons: Sequence[Polygon], box: Box) -> tuple[Polygon, ...]:
    """Return the polygons that may cover a part of a box."""
    left, top, right, bottom = box
    return tuple(
        polygon
        for polygon in polygons
        if (around := _bounds(polygon))[0] < right
        and around[1] < bottom
        and around[2] > left
        and around[3] > top
    )


@functools.lru_cache(_CACHED)
def _bounds(polygon: Polygon) -> Box:
    xs, ys = zip(*polygon, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _slabs(polygons: tuple[Polygon, ...], box: Box) -> list[float]:
    """Return the y at which the covered length of a row may bend, from the top to the bottom of the box."""
    left, top, right, bottom = box
    edges = itertools.chain.from_iterable(map(_edges, polygons))
    sides = (y for edge in edges for x in (left, right) for y in _at(edge, x))
    bends = itertools.chain(_levels(polygons), sides)
    return sorted({top, bottom, *(y for y in bends if top < y < bottom)})


def _levels(polygons: Sequence[Polygon]) -> Iterator[float]:
    """Yield the y of all corners, and of all points in which edges of two polygons cross."""
    for polygon in polygons:
        yield from (y for _, y in polygon)
    for first, second in itertools.combinations(polygons, 2):
        yield from _crossings(first, second)


# All pairs of the 40 polygons that a line may have.
@functools.lru_cache(1024)
def _crossings(first: Polygon, second: Polygon) -> list[float]:
    pairs = itertools.product(_edges(first), _edges(second))
    return [y for one, other in pairs for y in _crossing(one, other)]


def _in_picture(box: Box, size: Size) -> Box:
    """Return the part of a box that is in the picture, in 0..1."""
    x1, y1, x2, y2 = box
    left, right = (min(1.0, max(0.0, x / size.width)) for x in (x1, x2))
    top, bottom = (min(1.0, max(0.0, y / size.height)) for y in (y1, y2))
    return left, top, right, bottom


@functools.lru_cache(_CACHED)
def _edges(polygon: tuple[Point, ...]) -> list[Edge]:
    return list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))


@functools.lru_cache(_CACHED)
def _slopes(polygon: Polygon) -> list[tuple[float, float, float, float]]:
    """Return the edges that cross rows: their lower and higher y, the x at the lower one, and how x changes with y."""
    rising = (
        sorted(edge, key=operator.itemgetter(1)) for edge in _edges(polygon) if edge[0][1] != edge[1][1]
    )
    return [(y1, y2, x1, (x2 - x1) / (y2 - y1)) for (x1, y1), (x2, y2) in rising]


def _covered(
    polygons: Sequence[list[tuple[float, float, float, float]]], y: float, left: float, right: float
) -> list[Interval]:
    """Return which parts of a row lie in a polygon, from left to right. They do not overlap."""
    parts: list[Interval] = []
    for slopes in polygons:
        crossed = sorted([x + (y - low) * slope for low, high, x, slope in slopes if low < y <= high])
        inside = zip(crossed[::2], crossed[1::2], strict=True)
        parts += [
            (max(start, left), min(end, right)) for start, end in inside if start < right and end > left
        ]
    if len(parts) < 2:
        return parts
    merged: list[Interval] = []
    for start, end in sorted(parts):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _at(edge: Edge, x: float) -> Iterator[float]:
    """Yield the y at which an edge crosses a vertical line."""
    (x1, y1), (x2, y2) = edge
    if (x1 < x) != (x2 < x):
        yield y1 + (x - x1) * (y2 - y1) / (x2 - x1)


def _crossing(first: Edge, second: Edge) -> Iterator[float]:
    """Yield the y at which two edges cross. Where they meet in a corner, its y is known already."""
    (a, b), (c, d) = first, second
    if _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0:
        share = _side(c, d, a) / (_side(c, d, a) - _side(c, d, b))
        yield a[1] + share * (b[1] - a[1])


def _side(a: Point, b: Point, c: Point) -> float:
    """Return on which side of the line from a to b the point c lies: above 0 on one, below 0 on the other."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _meet(first: Edge, second: Edge) -> bool:
    """Return whether two edges have a point in common."""
    (a, b), (c, d) = first, second
    sides = _side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b)
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    touching = ((c, first), (d, first), (a, second), (b, second))
    return any(
        side == 0 and _within(point, edge) for side, (point, edge) in zip(sides, touching, strict=True)
    )


def _overlap(first: Edge, second: Edge) -> bool:
    """Return whether two edges that share a corner share more than that: one turns back upon the other."""
    (shared,) = {*first} & {*second}
    (a,), (b,) = {*first} - {shared}, {*second} - {shared}
    along = (a[0] - shared[0]) * (b[0] - shared[0]) + (a[1] - shared[1]) * (b[1] - shared[1])
    return _side(shared, a, b) == 0 and along > 0


def _within(point: Point, edge: Edge) -> bool:
    """Return whether a point on the line of an edge lies on the edge."""
    (x1, y1), (x2, y2) = edge
    return min(x1, x2) <= point[0] <= max(x1, x2) and min(y1, y2) <= point[1] <= max(y1, y2)

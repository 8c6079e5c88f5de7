"""The boxes around the shapes that labelling tools draw."""

from __future__ import annotations

import math
from collections.abc import Sequence

from training.datasets.dataset import Box


def around(xs: Sequence[float], ys: Sequence[float]) -> Box:
    """Return the box around points.

    Raises:
        ValueError: There are fewer than two points, or not as many x as y.

    >>> around([4, 1, 2], [5, 9, 7])
    (1.0, 5.0, 4.0, 9.0)
    """
    if len(xs) < 2 or len(xs) != len(ys):
        raise ValueError(f"{len(xs)} x and {len(ys)} y are no shape")
    return float(min(xs)), float(min(ys)), float(max(xs)), float(max(ys))


def ellipse(x: float, y: float, rx: float, ry: float) -> Box:
    """Return the box around an ellipse with this centre and these radii.

    >>> ellipse(10, 20, 3, 4)
    (7, 16, 13, 24)
    """
    return x - rx, y - ry, x + rx, y + ry


def rotated(box: Box, degrees: float, centre: tuple[float, float]) -> Box:
    """Return the box around a box that is turned clockwise about a point.

    >>> [round(edge) for edge in rotated((0, 0, 4, 2), 90, (0, 0))]
    [-2, 0, 0, 4]
    """
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(x - centre[0], y - centre[1]) for x in (box[0], box[2]) for y in (box[1], box[3])]
    return around(
        [centre[0] + x * cosine - y * sine for x, y in corners],
        [centre[1] + x * sine + y * cosine for x, y in corners],
    )


def scaled(box: Box, x: float, y: float) -> Box:
    """Return a box with its coordinates multiplied.

    >>> scaled((1, 2, 3, 4), 10, 100)
    (10, 200, 30, 400)
    """
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y

"""The lines of YOLO's text files: a class, then a box, a polygon, or a box with what a detector adds to it."""

from __future__ import annotations

from dataclasses import dataclass

from training.datasets.dataset import Box
from training.datasets.formats.yolo_names import Names

# A coordinate beyond it is in pixels; the box does not just extend beyond the image.
_LARGEST_COORDINATE = 2.0
_BOX = 4
# Of width or height, by which a box may leave its image because its numbers were rounded.
_ROUNDING = 0.01


@dataclass(frozen=True, slots=True)
class Line:
    """One object.

    Attributes:
        number: The number of its class.
        box: (x1, y1, x2, y2) in 0..1.
        is_polygon: Whether the box is around a polygon.
        extra: What else the line has; "" for nothing.
    """

    number: int
    box: Box
    is_polygon: bool = False
    extra: str = ""


def parse(line: str, names: Names) -> Line | str:
    """Return the object of a line, or what is wrong with it.

    >>> parse("0 0.5 0.5 0.5 0.5 0.93", Names(("dent",))).extra
    'a confidence'
    """
    try:
        first, *rest = line.replace(",", " ").split()
        number = _number(first, names)
        values = [float(value) for value in rest]
    except (ValueError, OverflowError):
        return "is not a class with a box or polygon"
    extra = ""
    if names.has_keypoints:
        extra = "key points" if len(values) > _BOX else ""
        values = values[:_BOX]
    elif len(values) == _BOX + 1 and 0 <= values[-1] <= 1:
        values, extra = values[:_BOX], "a confidence"
    elif _has_confidence_and_id(rest, values):
        values, extra = values[:_BOX], "a confidence and a track id"
    try:
        box = box_of(values)
    except ValueError:
        return "is not a class with a box or polygon"
    if any(abs(edge) > _LARGEST_COORDINATE for edge in box):
        return "is not in 0..1 of width and height"
    return Line(number, box, len(values) > _BOX, extra)


def is_label_text(text: str) -> bool:
    """Return whether a text file begins with a line of a class number and at least four coordinates."""
    first = next((line.split() for line in text.splitlines() if line.strip()), [])
    return (
        len(first) >= _BOX + 1
        and first[0].isdigit()
        and all(value.replace(".", "").replace("-", "").replace("e", "").isdigit() for value in first)
    )


def box_of(values: list[float]) -> Box:
    """Return (x1, y1, x2, y2) in 0..1. Raises ValueError if the values are neither a box nor a polygon.

    >>> box_of([0.5, 0.5, 1.0, 0.5])
    (0.0, 0.25, 1.0, 0.75)
    >>> box_of([0.1, 0.2, 0.5, 0.9, 0.3, 0.1])
    (0.1, 0.1, 0.5, 0.9)
    """
    if len(values) == _BOX:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) > _BOX + 1 and len(values) % 2 == 0:
        return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    raise ValueError(f"{len(values)} values")


def _number(text: str, names: Names) -> int:
    """Return the class number; some tools write the name. Raises ValueError."""
    if text in names.numbers:
        return names.numbers[text]
    number = int(float(text))
    if float(text) != number:
        raise ValueError(text)
    return number


def _has_confidence_and_id(texts: list[str], values: list[float]) -> bool:
    """Return whether six values are a box with a confidence and a track id, and no triangle.

    An id is a whole number without a point; the corner of a triangle is written as the others are.
    """
    if len(values) != _BOX + 2 or not texts[-1].isdigit() or not 0 <= values[_BOX] <= 1:
        return False
    x, y, width, height = values[:_BOX]
    is_inside = width / 2 <= min(x, 1 - x) + _ROUNDING and height / 2 <= min(y, 1 - y) + _ROUNDING
    return values[-1] > 1 or (is_inside and all("." in text for text in texts[:_BOX]))

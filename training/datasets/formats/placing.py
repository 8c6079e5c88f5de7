"""Puts the labels of an image onto its pixels, and notices labels that cannot be meant as they are written."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from contract.tags import is_good
from training.datasets import bounds
from training.datasets.dataset import Box, Object, Sample
from training.datasets.formats.annotations import AnnotatedImage
from training.datasets.problems import Problems

# Formats round a box's edge by up to half a pixel.
_ROUNDING = 0.5
# Boxes are mostly drawn in whole pixels. As shares of an image in single precision, they come back this close.
_CLOSE = 0.0001
# Of the ratio of width and height. A copy of a small image can have other rounded sizes.
_SAME_RATIO = 0.02
# Of exchanged corners, from which on they are not so by chance; and their share of all boxes.
_MANY, _SHARE = 5, 0.1

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the image file itself says.

    Attributes:
        sha256: The SHA-256 of the file, in hex.
        width: Pixels of the upright image.
        height: As width.
        transposition: What turns the stored pixels upright; None if they are, or if nobody looked.
    """

    sha256: str
    width: int
    height: int
    transposition: Image.Transpose | None = None

    @property
    def is_sideways(self) -> bool:
        """Whether the stored pixels have width and height exchanged."""
        return self.transposition in _TURNS

    @property
    def stored(self) -> Size:
        """Width and height of the stored pixels."""
        return (self.height, self.width) if self.is_sideways else (self.width, self.height)


@dataclass
class Corners:
    """Counts boxes whose corners are exchanged, to notice a source that has sizes where corners belong.

    Attributes:
        boxes: The number of boxes in pixels.
        swapped: Those whose second corner is before the first.
        may_be_sizes: Those that fit their image as x, y, width and height.
    """

    boxes: int = 0
    swapped: int = 0
    may_be_sizes: int = 0

    def add(self, box: Box, size: Size) -> None:
        """Count a box on an image of a size."""
        self.boxes += 1
        self.swapped += box[0] > box[2] or box[1] > box[3]
        self.may_be_sizes += box[0] + box[2] <= size[0] + 1 and box[1] + box[3] <= size[1] + 1

    def report(self, source: object, problems: Problems) -> None:
        """Report if all boxes fit as sizes, and many are no corners.

        A quarter of the boxes whose corners were only exchanged would fit as sizes by chance.
        """
        if self.boxes == self.may_be_sizes and self.swapped >= max(_MANY, _SHARE * self.boxes):
            message = f"has {self.swapped} of {self.boxes} boxes that are no corners, and all fit as sizes"
            problems.report("sizes-as-corners", source, message)


def place(
    image: AnnotatedImage, facts: ImageFacts, problems: Problems, corners: Corners | None = None
) -> Sample | None:
    """Return the sample of an image; None, with a problem, if its labels were lost.

    Args:
        image: The image with its labels.
        facts: What its file says.
        problems: Collects what is wrong.
        corners: Counts the boxes of the whole source.
    """
    if image.masks and not _fits(image, facts, problems):
        return None
    if len(image.objects) > bounds.OBJECTS:
        message = f"has {len(image.objects):,} boxes, more than {bounds.OBJECTS:,}"
        problems.report("too-many-boxes", image.name, message)
        return None
    if half := next((label for label in _labels(image) if not is_text(label)), None):
        message = f"has the label {half!r}, which is no text"
        problems.report("bad-annotation", image.annotation_file, message, f"image {image.name}")
        return None
    turn = _turn(image, facts, problems)
    objects: list[Object] = []
    for number, obj in enumerate(image.objects, start=1):
        place_of_box = f"box {number} ({obj.label})"
        if corners and not image.normalised:
            corners.add(obj.box, facts.stored if turn else (facts.width, facts.height))
        box = _placed(image, facts, obj.box, turn, place_of_box, problems)
        if box is not None:
            objects.append(Object(obj.label, box))
    if not objects and not image.tags and (lost := len(image.objects) + image.lost):
        message = f"all of its {lost} labels were lost" if lost > 1 else "its only label was lost"
        problems.report("labels-lost", image.name, message)
        return None
    sample = Sample(
        image.name,
        facts.sha256,
        facts.width,
        facts.height,
        tuple(objects),
        image.tags,
        image.part,
        image.source_part,
        image.masks,
    )
    _check_tags(sample, image, problems)
    return sample


def _labels(image: AnnotatedImage) -> set[str]:
    return {obj.label for obj in image.objects} | set(image.tags)


def is_text(label: str) -> bool:
    r"""Return whether a label can be written. JSON can have half a character.

    >>> is_text("Größe"), is_text("\ud800")
    (True, False)
    """
    try:
        label.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fits(image: AnnotatedImage, facts: ImageFacts, problems: Problems) -> bool:
    """Return whether the masks of an image may have been drawn on it, or on a smaller copy; else report a problem."""
    size = image.size
    if size is None or is_like(size, (facts.width, facts.height)) or is_like(size, facts.stored):
        return True
    message = (
        f"is {facts.width} x {facts.height} pixels, but its mask {image.masks[0].name} {size[0]} x {size[1]}"
    )
    problems.report("mask-shape", image.name, message)
    return False


def _check_tags(sample: Sample, image: AnnotatedImage, problems: Problems) -> None:
    if sample.has_unplaced_defect:
        label = next(tag for tag in sample.tags if not is_good(tag))
        message = f"has images with the label {label!r} and no box"
        problems.tally("unplaced-defect", image.annotation_file, message)
    if sample.objects and sample.tags and all(is_good(tag) for tag in sample.tags):
        message = f"is labelled {sample.tags[0]!r}, but has {len(sample.objects)} boxes"
        problems.report("contradiction", sample.name, message)


def _turn(image: AnnotatedImage, facts: ImageFacts, problems: Problems) -> Callable[[Box, Size], Box] | None:
    """Return what turns the boxes upright, if they were drawn on the stored pixels; compare the stated size."""
    has_size = image.size is not None and min(image.size) > 0
    upright = (facts.width, facts.height)
    if facts.transposition is not None and image.objects:
        is_square = is_like(upright, facts.stored)
        if facts.is_sideways and has_size and not is_square and is_like(image.size or upright, facts.stored):
            message = "has boxes that were drawn before the EXIF orientation was applied"
            problems.tally("turned-boxes", image.annotation_file, message)
            if not image.normalised and image.size != facts.stored:
                _report_size(image, facts.stored, problems)
            return _TURNS[facts.transposition]
        if not (facts.is_sideways and has_size and not is_square):
            message = "has images that their EXIF orientation turns"
            problems.tally("turned-image", image.annotation_file, message)
    if has_size and image.size != upright:
        _report_size(image, upright, problems)
    return None


def _report_size(image: AnnotatedImage, size: Size, problems: Problems) -> None:
    stated = f"{image.size[0]} x {image.size[1]}" if image.size else ""
    message = f"is {size[0]} x {size[1]} pixels, but its labels state {stated}"
    problems.report("size-mismatch", image.name, message)


def is_like(a: Size, b: Size) -> bool:
    """Return whether two sizes have the same ratio of width and height."""
    return abs(a[0] * b[1] / (a[1] * b[0]) - 1) <= _SAME_RATIO


def _placed(
    image: AnnotatedImage,
    facts: ImageFacts,
    box: Box,
    turn: Callable[[Box, Size], Box] | None,
    place_of_box: str,
    problems: Problems,
) -> Box | None:
    """Return the part of a box that is inside the image, in pixels; None, with a problem, if there is none."""
    if not all(math.isfinite(edge) for edge in box):
        message = f"{image.name}: the box {_format(box)} has numbers that are not finite"
        problems.report("bad-annotation", image.annotation_file, message, place_of_box)
        return None
    size = facts.stored if turn else (facts.width, facts.height)
    if image.normalised:
        scaled = (box[0] * size[0], box[1] * size[1], box[2] * size[0], box[3] * size[1])
        box = _whole(scaled[0]), _whole(scaled[1]), _whole(scaled[2]), _whole(scaled[3])
    elif 0 < max(box[0], box[2]) <= 1 and 0 < max(box[1], box[3]) <= 1:
        problems.tally(
            "fraction-box", image.annotation_file, "has boxes within the first pixel of their image"
        )
        return None
    if box[0] > box[2] or box[1] > box[3]:
        problems.tally("swapped-corners", image.annotation_file, "has boxes whose corners are exchanged")
        box = in_order(box)
    if turn:
        box = turn(box, size)
    clipped = clip(box, facts.width, facts.height)
    if clipped is None:
        message = f"{_format(box)} has no area inside the image"
        problems.report("zero-area-box", image.name, message, place_of_box)
        return None
    if max(abs(a - b) for a, b in zip(box, clipped, strict=True)) > _ROUNDING:
        problems.report(
            "box-outside", image.name, f"{_format(box)} is partly outside the image", place_of_box
        )
    if min(clipped[2] - clipped[0], clipped[3] - clipped[1]) < 1:
        problems.report("tiny-box", image.name, f"{_format(clipped)} is less than a pixel wide", place_of_box)
    return clipped


def _whole(edge: float) -> float:
    """Return the whole pixel that an edge means, or the edge.

    >>> _whole(11.99999), _whole(11.99)
    (12.0, 11.99)
    """
    nearest = float(round(edge))
    return nearest if abs(edge - nearest) < _CLOSE else edge


def in_order(box: Box) -> Box:
    """Return a box with the smaller coordinates first."""
    return min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])


def clip(box: Box, width: int, height: int) -> Box | None:
    """Return the part of a box that is inside an image of this size; None if no area is.

    >>> clip((-5, 2, 8, 30), 10, 20)
    (0.0, 2, 8, 20.0)
    """
    x1, y1 = max(box[0], 0.0), max(box[1], 0.0)
    x2, y2 = min(box[2], float(width)), min(box[3], float(height))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def _format(box: Box) -> str:
    return "(" + ", ".join(f"{edge:g}" for edge in box) + ")"


# By the transposition that turns an image upright: the same for a box on an image of a size.
_TURNS: dict[Image.Transpose | None, Callable[[Box, Size], Box]] = {
    Image.Transpose.TRANSPOSE: lambda box, size: (box[1], box[0], box[3], box[2]),
    Image.Transpose.ROTATE_270: lambda box, size: (size[1] - box[3], box[0], size[1] - box[1], box[2]),
    Image.Transpose.TRANSVERSE: lambda box, size: (
        size[1] - box[3],
        size[0] - box[2],
        size[1] - box[1],
        size[0] - box[0],
    ),
    Image.Transpose.ROTATE_90: lambda box, size: (box[1], size[0] - box[2], box[3], size[0] - box[0]),
}

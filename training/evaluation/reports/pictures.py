"""Images of the data set for a page: one small JPEG each, and the boxes to draw over it as SVG.

Boxes and their labels stay apart from the pixels, so that labels are crisp, in any script, and escaped by
the template like every other text.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from contract.images import UnreadableError
from training.datasets import Box, Dataset, DatasetError, Sample
from training.evaluation.metrics import Placed
from training.evaluation.outcomes import Outcome
from training.model.pixels import decode

EDGE = 640  # pixels of the longer side
_CSS = {
    "right": "right",
    "wrong class": "wrong",
    "badly placed": "placed",
    "missed": "missed",
    "false alarm": "alarm",
    "duplicate": "duplicate",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A box (x, y, width, height) in pixels of the original, the CSS class that says what it is, its label.

    text_x, text_y, anchor: where the label stands, so that it stays inside the picture.
    """

    x: float
    y: float
    width: float
    height: float
    css: str
    text: str
    text_x: float
    text_y: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """One image's boxes as one model sees it, and in words what went wrong."""

    shapes: list[Shape]
    captions: list[str]


def jpeg(dataset: Dataset, sample: Sample) -> str:
    """The upright image, at most EDGE pixels on its longer side, as a data URI. Raises DatasetError."""
    scale = min(1.0, EDGE / max(sample.width, sample.height))
    size = max(1, round(sample.width * scale)), max(1, round(sample.height * scale))
    try:
        square = decode(dataset.read(sample), max(size)).pixels
    except UnreadableError as error:
        raise DatasetError(sample.name, str(error)) from error
    buffer = io.BytesIO()
    Image.fromarray(square).resize(size).save(buffer, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def truth(sample: Sample) -> Drawing:
    """What is labelled."""
    return Drawing([_shape(sample, each.box, "truth", each.label, above=True) for each in sample.objects], [])


def drawing(sample: Sample, placed: Placed, outcomes: Sequence[Outcome], labels: Sequence[str]) -> Drawing:
    """The labelled boxes and those of `placed`, told apart by what became of them.

    An object that was found goes without its label: the detection on it says the same.
    """
    shapes = []
    kinds = {each.object: each.kind for each in outcomes}
    for index, each in enumerate(sample.objects):
        css = "missed" if kinds[index] == "missed" else "truth"
        text = "" if kinds[index] == "right" else each.label
        shapes.append(_shape(sample, each.box, css, text, above=True))
    for outcome in outcomes:
        if outcome.detection is not None and outcome.found is not None:
            x1, y1, x2, y2 = (float(value) for value in placed.boxes[outcome.detection])
            text = f"{labels[outcome.found]} {outcome.score:.2f}"
            shapes.append(_shape(sample, (x1, y1, x2, y2), _CSS[outcome.kind], text, above=False))
    return Drawing(shapes, captions(outcomes, labels))


def captions(outcomes: Sequence[Outcome], labels: Sequence[str]) -> list[str]:
    """What went wrong, the same things counted together."""
    said = Counter(_say(each, labels) for each in outcomes if each.kind != "right")
    return [text if count == 1 else f"{text} ({count} times)" for text, count in said.items()]


def _say(outcome: Outcome, labels: Sequence[str]) -> str:
    truth = "" if outcome.truth is None else labels[outcome.truth]
    found = "" if outcome.found is None else labels[outcome.found]
    match outcome.kind:
        case "missed":
            return f"missed: {truth}"
        case "wrong class":
            return f"wrong class: {truth} taken for {found}, score {outcome.score:.2f}"
        case "badly placed":
            return f"badly placed: {found}, overlap {outcome.overlap:.2f}, score {outcome.score:.2f}"
        case "false alarm":
            return f"false alarm: {found}, score {outcome.score:.2f}"
        case _:
            return f"found twice: {found}"


def _shape(sample: Sample, box: Box, css: str, text: str, *, above: bool) -> Shape:
    """The labels of truth stand over their boxes, those of detections under theirs: they often coincide."""
    x1, y1, x2, y2 = box
    line = text_size(sample)
    right = x1 > sample.width * 0.6
    y = y1 - line * 0.3 if above else y2 + line * 0.95
    inside = min(max(y, line), sample.height - line * 0.3)
    return Shape(
        x1, y1, x2 - x1, y2 - y1, css, text, x2 if right else x1, inside, "end" if right else "start"
    )


def text_size(sample: Sample) -> float:
    """The height of a label's letters, in pixels of the original."""
    return max(sample.width, sample.height) / 23

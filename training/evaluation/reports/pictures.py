"""Images of the data set for a page: each is a small JPEG, with the boxes drawn over it as SVG.

Boxes and their labels are not part of the pixels. So labels are crisp, in any script, and the template escapes them
like every other text.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from contract.heat_map import overlay
from contract.images import UnreadableError
from training.datasets import Box, Dataset, DatasetError, Sample
from training.evaluation.metrics import ImageDetections
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
    """A box to draw, with its label.

    Attributes:
        x: Left edge, in pixels of the original.
        y: Upper edge.
        width: Of the box.
        height: Of the box.
        css: The CSS class, which gives the colour.
        text: The label.
        text_x: Where the label is, so that it stays inside the picture.
        text_y: As text_x.
        anchor: SVG's text-anchor.
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
    """What one model says about one image.

    Attributes:
        shapes: The boxes.
        captions: The errors in words.
        jpeg: The image with the model's heat map over it, as a data URI; "": the image as it is.
    """

    shapes: list[Shape]
    captions: list[str]
    jpeg: str = ""


def jpeg(dataset: Dataset, sample: Sample) -> str:
    """Return the upright image, at most EDGE pixels on its longer side, as a data URI.

    Raises:
        DatasetError: The image cannot be read.
    """
    return _data_uri(_small(dataset, sample))


def heated(dataset: Dataset, sample: Sample, heat: bytes) -> str:
    """Return the image as `jpeg` does, with a heat map over it.

    Args:
        dataset: The data set.
        sample: The image.
        heat: The map as the endpoint answers it.

    Raises:
        DatasetError: The image cannot be read.
    """
    with Image.open(io.BytesIO(heat)) as grey:
        return _data_uri(overlay(_small(dataset, sample), grey))


def _small(dataset: Dataset, sample: Sample) -> Image.Image:
    scale = min(1.0, EDGE / max(sample.width, sample.height))
    size = max(1, round(sample.width * scale)), max(1, round(sample.height * scale))
    try:
        square = decode(dataset.read(sample), max(size)).pixels
    except UnreadableError as error:
        raise DatasetError(sample.name, str(error)) from error
    return Image.fromarray(square).resize(size)


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def truth(sample: Sample) -> Drawing:
    """Return the labelled boxes."""
    shapes = [shape(sample, labelled.box, "truth", labelled.label, above=True) for labelled in sample.objects]
    return Drawing(shapes, [])


def drawing(
    sample: Sample, detections: ImageDetections, outcomes: Sequence[Outcome], labels: Sequence[str]
) -> Drawing:
    """Return the labelled and the detected boxes, with the CSS class of their outcomes.

    An object that was found has no text: the detection on it has the same label.

    Args:
        sample: The image, with its labels.
        detections: Those at the operating points.
        outcomes: Of the image's objects and detections.
        labels: The data set's classes.
    """
    shapes = []
    kinds = {outcome.object: outcome.kind for outcome in outcomes}
    for index, labelled in enumerate(sample.objects):
        css = "missed" if kinds[index] == "missed" else "truth"
        text = "" if kinds[index] == "right" else labelled.label
        shapes.append(shape(sample, labelled.box, css, text, above=True))
    for outcome in outcomes:
        if outcome.detection is not None and outcome.found is not None:
            x1, y1, x2, y2 = (float(value) for value in detections.boxes[outcome.detection])
            text = f"{labels[outcome.found]} {outcome.score:.2f}"
            shapes.append(shape(sample, (x1, y1, x2, y2), _CSS[outcome.kind], text, above=False))
    return Drawing(shapes, captions(outcomes, labels))


def captions(outcomes: Sequence[Outcome], labels: Sequence[str]) -> list[str]:
    """Return the errors in words; equal ones are counted."""
    texts = Counter(_caption(outcome, labels) for outcome in outcomes if outcome.kind != "right")
    return [text if count == 1 else f"{text} ({count} times)" for text, count in texts.items()]


def _caption(outcome: Outcome, labels: Sequence[str]) -> str:
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


def shape(sample: Sample, box: Box, css: str, text: str, *, above: bool) -> Shape:
    """Return a box with its text above it (labels) or below it (detections): the two boxes often coincide."""
    x1, y1, x2, y2 = box
    line = text_size(sample)
    right = x1 > sample.width * 0.6
    y = y1 - line * 0.3 if above else y2 + line * 0.95
    inside = min(max(y, line), sample.height - line * 0.3)
    return Shape(
        x1, y1, x2 - x1, y2 - y1, css, text, x2 if right else x1, inside, "end" if right else "start"
    )


def text_size(sample: Sample) -> float:
    """Return the height of a label's letters, in pixels of the original."""
    return max(sample.width, sample.height) / 23

"""Frames and labels of findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import ImageDraw, ImageFont

from inspection.findings import Box, Finding
from inspection.latin import transliterate
from inspection.pictures.canvas import PADDING, Canvas, fitted, font, line_height
from inspection.pictures.placing import Size, place_labels
from inspection.rules import Kind

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_MANY, _MAX_LABELS = 12, 30

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Style:
    colour: Colour
    text: Colour
    dashed: bool = False
    thin: bool = False


# They differ in more than their colour, for readers who cannot tell red from green.
_STYLES = {
    Kind.DEFECT: _Style((214, 39, 40), _WHITE),
    Kind.DOUBTFUL: _Style((255, 179, 0), _BLACK, dashed=True),
    Kind.ALLOWED: _Style((222, 222, 222), _BLACK, thin=True),
}


def draw_findings(canvas: Canvas, findings: Sequence[Finding], scale: tuple[float, float]) -> None:
    """Frame each finding, and label as many as stay readable.

    Args:
        canvas: What to draw on.
        findings: The most important first.
        scale: From pixels of the boxes to pixels of the canvas: x, y.
    """
    draw = ImageDraw.Draw(canvas.image)
    stroke = max(2, max(canvas.picture) // 320)
    frames = [_frame(finding.box, scale, canvas.picture, stroke) for finding in findings]
    # The most important is drawn last, on top.
    for finding, frame in reversed(list(zip(findings, frames, strict=True))):
        _draw_frame(draw, frame, _STYLES[finding.kind], stroke)
    label_font = _label_font(canvas.room, len(findings))
    texts = [_text(finding, label_font, canvas.room) for finding in findings[:_MAX_LABELS]]
    height = line_height(label_font) + 2
    sizes = [(round(label_font.getlength(text)) + 2 * PADDING, height) for text in texts]
    places = place_labels(frames, sizes, canvas.room)
    named = [
        (_STYLES[finding.kind], text, place)
        for finding, text, place in zip(findings, texts, places, strict=False)
        if place
    ]
    for style, _, place in named:
        if place.leader:
            draw.line(place.leader, style.colour, max(1, stroke // 2))
    for style, text, place in named:
        draw.rectangle(place.box, style.colour)
        draw.text((place.box[0] + PADDING, place.box[1] + 1), text, style.text, label_font)


def _frame(box: Box, scale: tuple[float, float], picture: Size, stroke: int) -> Box:
    """Return the outer edge of a box's frame: around the box, so that it does not cover a small defect.

    It is clipped to the picture: Pillow would draw every pixel of a box that a bad model puts far outside.
    """
    left, right = _span(box[0] * scale[0], box[2] * scale[0], picture[0] - 1, stroke)
    top, bottom = _span(box[1] * scale[1], box[3] * scale[1], picture[1] - 1, stroke)
    return left, top, right, bottom


def _span(one: float, other: float, last: int, stroke: int) -> tuple[float, float]:
    low, high = sorted(min(max(edge, 0), last) for edge in (one, other))
    # A frame has at least a pixel inside.
    outer = min(max(low - stroke, 0), max(last - 2 * stroke, 0))
    return outer, max(min(high + stroke, last), outer + 2 * stroke)


def _draw_frame(draw: ImageDraw.ImageDraw, frame: Box, style: _Style, stroke: int) -> None:
    left, top, right, bottom = frame
    # The dark line keeps thin frames visible on a bright picture, and the gaps of dashed ones.
    draw.rectangle(frame, outline=_BLACK, width=1)
    if style.thin:
        draw.rectangle((left + 1, top + 1, right - 1, bottom - 1), outline=style.colour, width=1)
    elif not style.dashed:
        draw.rectangle(frame, outline=style.colour, width=stroke)
    else:
        for start, end in _dashes(left, right, stroke):
            draw.rectangle((start, top, end, top + stroke - 1), style.colour)
            draw.rectangle((start, bottom - stroke + 1, end, bottom), style.colour)
        for start, end in _dashes(top, bottom, stroke):
            draw.rectangle((left, start, left + stroke - 1, end), style.colour)
            draw.rectangle((right - stroke + 1, start, right, end), style.colour)


def _dashes(start: float, end: float, stroke: int) -> Iterator[tuple[float, float]]:
    """Yield the dashes of a line. Both ends are dashes, so that a frame has its corners."""
    gaps = max(1, round((end - start) / (8 * stroke)))
    dash = (end - start) / (1.6 * gaps + 1)
    for number in range(gaps + 1):
        at = start + number * 1.6 * dash
        yield at, at + dash


def _label_font(room: Size, count: int) -> ImageFont.FreeTypeFont:
    size = min(max(room) // 40, min(room) // 12)
    return font(size * 3 // 4 if count > _MANY else size)


def _text(finding: Finding, label_font: ImageFont.FreeTypeFont, room: Size) -> str:
    """Return label and score. A long label is cut, not the score."""
    score = f" {finding.shown_score}"
    width = 0.6 * room[0] - 2 * PADDING - label_font.getlength(score)
    return fitted(transliterate(finding.label) or "?", label_font, width) + score

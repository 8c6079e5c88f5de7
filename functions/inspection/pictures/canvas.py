"""What a picture is drawn on: room for labels, and remarks below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from PIL import Image, ImageDraw, ImageFont, ImageOps

from inspection.latin import transliterate
from inspection.pictures.placing import Size

_WHITE, _DARK = (255, 255, 255), (32, 32, 32)
# Of the longer side, in pixels: large enough to read, small enough for a phone.
MIN_SIDE, MAX_SIDE = 640, 1600
# A narrower picture, as line-scan cameras take them, gets a margin, so that labels have room.
_MIN_NARROW_SIDE = 240
_SMALLEST_FONT = 14
_MAX_LINES = 6  # of remarks
PADDING = 4  # pixels around text


@dataclass(frozen=True, slots=True)
class Canvas:
    """An image with a picture at its top left.

    Attributes:
        image: The image.
        picture: The size of the picture.
        room: The size of the part above the remarks, for frames and labels.
    """

    image: Image.Image
    picture: Size
    room: Size


def make_canvas(picture: Image.Image, remarks: Sequence[str]) -> Canvas:
    """Return the picture with its remarks below it, so that they hide nothing. It shrinks if they need the room."""
    if max(picture.size) < MIN_SIDE:
        picture = ImageOps.contain(picture, (MIN_SIDE, MIN_SIDE))
    text_font = font(max(picture.size) // 45)
    lines = _lines(remarks, text_font, picture)
    strip = len(lines) * line_height(text_font) + 2 * PADDING if lines else 0
    if picture.height + strip > MAX_SIDE:
        picture = ImageOps.contain(picture, (MAX_SIDE, MAX_SIDE - strip))
        lines = _lines(remarks, text_font, picture)[: len(lines)]
    room = max(picture.width, _MIN_NARROW_SIDE), max(picture.height, _MIN_NARROW_SIDE)
    image = Image.new("RGB", (room[0], room[1] + strip), _DARK)
    image.paste(picture)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((PADDING, room[1] + PADDING + number * line_height(text_font)), line, _WHITE, text_font)
    return Canvas(image, picture.size, room)


def font(size: float) -> ImageFont.FreeTypeFont:
    """Return Pillow's own font. It has the letters of ASCII, and few others."""
    # Pillow's wheels contain FreeType; without it there is a bitmap font of one size.
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(max(_SMALLEST_FONT, size)))


def line_height(text_font: ImageFont.FreeTypeFont) -> int:
    """Return the height of a line of text, in pixels."""
    return sum(text_font.getmetrics())


def fitted(text: str, text_font: ImageFont.FreeTypeFont, width: float) -> str:
    """Return as much of a text as fits into a width, in pixels."""
    if text_font.getlength(text) <= width:
        return text
    while text and text_font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text.rstrip()}..."


def _lines(remarks: Sequence[str], text_font: ImageFont.FreeTypeFont, picture: Image.Image) -> list[str]:
    width = max(picture.width, _MIN_NARROW_SIDE) - 2 * PADDING
    lines = [line for remark in remarks for line in _wrapped(transliterate(remark), text_font, width)]
    return lines[:_MAX_LINES]


def _wrapped(text: str, text_font: ImageFont.FreeTypeFont, width: float) -> Iterator[str]:
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and text_font.getlength(longer) > width:
            yield fitted(line, text_font, width)
            line = word
        else:
            line = longer
    yield fitted(line, text_font, width)

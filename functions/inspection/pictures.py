"""The picture of an alert: the product, with its defects framed."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

from contract.images import open_image, transposition, upright_size
from inspection.detector import Detection

_RED, _WHITE = (214, 39, 40), (255, 255, 255)
# Of the longer side, in pixels: large enough to read, small enough for a phone.
_MIN_SIDE, _MAX_SIDE = 640, 1600


def annotate(data: bytes, detections: Sequence[Detection], max_pixels: int) -> bytes:
    """Return the upright image as a JPEG, with the box, label and score of each detection.

    Raises:
        UnreadableError: The image cannot be decoded.
    """
    with open_image(data, max_pixels) as image:
        width, height = upright_size(image)
        turn = transposition(image)
        # First of all, so that memory never holds two copies of a large image. A JPEG is not even decoded in full.
        image.thumbnail((_MAX_SIDE, _MAX_SIDE))
        picture = _rgb(image if turn is None else image.transpose(turn))
    if max(picture.size) < _MIN_SIDE:
        picture = ImageOps.contain(picture, (_MIN_SIDE, _MIN_SIDE))
    _draw(picture, detections, picture.width / width, picture.height / height)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _rgb(image: Image.Image) -> Image.Image:
    """Convert to 8-bit RGB. Deeper greys are stretched from darkest to brightest, because Pillow would clip them."""
    if not image.mode.startswith(("I", "F")):
        return image.convert("RGB")
    deep = image.convert("F")
    darkest, brightest = (float(bound) for bound in deep.getextrema())  # type: ignore[arg-type]
    scale = 255 / max(brightest - darkest, 1e-6)
    return deep.point(lambda grey: grey * scale - darkest * scale).convert("L").convert("RGB")


def _draw(picture: Image.Image, detections: Sequence[Detection], scale_x: float, scale_y: float) -> None:
    draw = ImageDraw.Draw(picture)
    stroke = max(2, picture.width // 320)
    font = ImageFont.load_default(size=max(14, picture.width // 40))
    # Lowest score first, so that the best detection is on top.
    for detection in sorted(detections, key=lambda detection: detection.score):
        x1, y1, x2, y2 = detection.box
        # Clip to the picture: Pillow would draw every pixel of a box that a bad model puts far outside.
        left, right = sorted(min(max(x * scale_x, -stroke), picture.width + stroke) for x in (x1, x2))
        top, bottom = sorted(min(max(y * scale_y, -stroke), picture.height + stroke) for y in (y1, y2))
        draw.rectangle((left, top, right, bottom), outline=_RED, width=stroke)
        text = f"{detection.label} {detection.score:.2f}"
        width, height = draw.textbbox((0, 0), text, font=font)[2:]
        x = max(0.0, min(left, picture.width - width - 6))
        y = top - height - 6 if top > height + 6 else top
        draw.rectangle((x, y, x + width + 6, y + height + 6), fill=_RED)
        draw.text((x + 3, y + 2), text, fill=_WHITE, font=font)

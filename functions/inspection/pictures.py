"""The picture that goes with an alert: the product with its defects framed."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

from inspection.detector import Detection
from inspection.errors import UnreadableError
from inspection.images import check

_RED, _WHITE = (214, 39, 40), (255, 255, 255)
_SMALLEST, _LARGEST = 640, 1600  # longest side in pixels: large enough to read, small enough for a phone


def annotate(data: bytes, detections: Sequence[Detection], max_pixels: int) -> bytes:
    """The upright image as a JPEG with each detection's box, label and score.

    Raises:
        UnreadableError: it cannot be decoded.
    """
    check(data, max_pixels)
    try:
        with Image.open(io.BytesIO(data)) as opened:
            opened.draft("RGB", (_LARGEST, _LARGEST))
            original = (opened.width, opened.height)
            upright = ImageOps.exif_transpose(opened)
            picture = upright.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise UnreadableError("corrupt_image", str(error)) from error
    picture = ImageOps.contain(picture, (_LARGEST, _LARGEST))
    if max(picture.size) < _SMALLEST:
        picture = ImageOps.contain(picture, (_SMALLEST, _SMALLEST))
    full = _full_size(data, original, upright.size)
    _draw(picture, detections, picture.width / full[0], picture.height / full[1])
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _full_size(data: bytes, drafted: tuple[int, int], upright: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the upright original: the draft may have decoded a smaller one."""
    with Image.open(io.BytesIO(data)) as opened:
        width, height = opened.size
    turned = (drafted[0] < drafted[1]) != (upright[0] < upright[1])
    return (height, width) if turned else (width, height)


def _draw(picture: Image.Image, detections: Sequence[Detection], scale_x: float, scale_y: float) -> None:
    draw = ImageDraw.Draw(picture)
    stroke = max(2, picture.width // 320)
    font = ImageFont.load_default(size=max(14, picture.width // 40))
    # The best is drawn last, on top.
    for found in sorted(detections, key=lambda detection: detection.score):
        x1, y1, x2, y2 = found.box
        left, right = sorted((x1 * scale_x, x2 * scale_x))
        top, bottom = sorted((y1 * scale_y, y2 * scale_y))
        draw.rectangle((left, top, right, bottom), outline=_RED, width=stroke)
        text = f"{found.label} {found.score:.2f}"
        width, height = draw.textbbox((0, 0), text, font=font)[2:]
        x = max(0.0, min(left, picture.width - width - 6))
        y = top - height - 6 if top > height + 6 else top
        draw.rectangle((x, y, x + width + 6, y + height + 6), fill=_RED)
        draw.text((x + 3, y + 2), text, fill=_WHITE, font=font)

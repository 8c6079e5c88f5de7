"""Makes the picture: reads the image upright, and saves it as a JPEG of a size for a phone."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image

from contract.images import open_image, transposition, upright_size
from inspection.findings import Finding
from inspection.pictures.canvas import MAX_SIDE, make_canvas
from inspection.pictures.frames import draw_findings


def annotate(data: bytes, findings: Sequence[Finding], remarks: Sequence[str], max_pixels: int) -> bytes:
    """Return the upright image as a JPEG, with what counts framed, and the other reasons for its verdict below it.

    Args:
        data: The image file.
        findings: The detections that count, the most important first.
        remarks: The reasons that are no detections.
        max_pixels: The most pixels that the image may have.

    Raises:
        UnreadableError: The image cannot be decoded.
    """
    with open_image(data, max_pixels) as image:
        width, height = upright_size(image)
        turn = transposition(image)
        # First of all, so that memory never holds two copies of a large image. A JPEG is not even decoded in full.
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        picture = _rgb(image if turn is None else image.transpose(turn))
    canvas = make_canvas(picture, remarks)
    draw_findings(canvas, findings, (canvas.picture[0] / width, canvas.picture[1] / height))
    buffer = io.BytesIO()
    canvas.image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _rgb(image: Image.Image) -> Image.Image:
    """Convert to 8-bit RGB. Deeper greys are stretched from darkest to brightest, because Pillow would clip them."""
    if not image.mode.startswith(("I", "F")):
        return image.convert("RGB")
    deep = image.convert("F")
    darkest, brightest = (float(bound) for bound in deep.getextrema())  # type: ignore[arg-type]
    scale = 255 / max(brightest - darkest, 1e-6)
    return deep.point(lambda grey: grey * scale - darkest * scale).convert("L").convert("RGB")

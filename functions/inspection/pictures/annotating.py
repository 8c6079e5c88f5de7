"""Makes the picture: reads the image upright, and saves it as a JPEG of a size for a phone."""

from __future__ import annotations

import io
from collections.abc import Sequence

from contract.images import open_image, transposition, upright_size
from contract.levels import eight_bits, is_thumbnail_safe
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
        if is_thumbnail_safe(image):
            image.thumbnail((MAX_SIDE, MAX_SIDE))
        picture = eight_bits(image, guess=True).image
        picture.thumbnail((MAX_SIDE, MAX_SIDE))
        picture = (picture if turn is None else picture.transpose(turn)).convert("RGB")
    canvas = make_canvas(picture, remarks)
    draw_findings(canvas, findings, (canvas.picture[0] / width, canvas.picture[1] / height))
    buffer = io.BytesIO()
    canvas.image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()

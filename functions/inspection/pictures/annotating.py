"""Makes the picture: reads the image upright, and saves it as a JPEG of a size for a phone."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image

from contract.heat_map import COLD, overlay
from contract.images import open_image, transposition, upright_size
from contract.levels import eight_bits
from inspection.findings import Finding
from inspection.pictures.canvas import MAX_SIDE, make_canvas
from inspection.pictures.frames import draw_findings

# What the colours mean, below a picture that has them.
LEGEND = "Colour: the redder, the less it is like a good part."


def annotate(
    data: bytes,
    findings: Sequence[Finding],
    remarks: Sequence[str],
    max_pixels: int,
    heat_map: bytes | None = None,
) -> bytes:
    """Return the upright image as a JPEG, with what counts framed, and the other reasons for its verdict below it.

    Args:
        data: The image file.
        findings: The detections that count, the most important first.
        remarks: The reasons that are no detections.
        max_pixels: The most pixels that the image may have.
        heat_map: What an anomaly model has seen, as a grey PNG. It is drawn over the image, below the frames.

    Raises:
        UnreadableError: The image or the heat map cannot be decoded.
    """
    with open_image(data, max_pixels) as image:
        width, height = upright_size(image)
        turn = transposition(image)
        # Twice of what is drawn: `thumbnail` then makes it as good as from the whole.
        picture = eight_bits(image, guess=True, at_least=2 * MAX_SIDE).image
        picture.thumbnail((MAX_SIDE, MAX_SIDE))
        picture = (picture if turn is None else picture.transpose(turn)).convert("RGB")
    if heat_map and (heat := _heat(heat_map)):
        picture, remarks = overlay(picture, heat), [*remarks, LEGEND]
    canvas = make_canvas(picture, remarks)
    draw_findings(canvas, findings, (canvas.picture[0] / width, canvas.picture[1] / height))
    buffer = io.BytesIO()
    canvas.image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _heat(heat_map: bytes) -> Image.Image | None:
    """Return a heat map; None if all of it is as a good part is, so that there is nothing to draw."""
    with open_image(heat_map) as image:
        heat = image.convert("L")
    return heat if heat.point(lambda value: 255 * (value > COLD)).getbbox() else None

"""The golden pictures that a model carries: before it goes live, it must find their defects again."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

from PIL import Image

from training.datasets import Dataset
from training.model.golden import finds
from training.model.models import Models
from training.model.onnx_model import OnnxModel
from training.model.pixels import decode

_PICTURES = 4
_TRIES = 40
_JPEG_QUALITY = 90


def golden_pictures(model: OnnxModel, dataset: Dataset) -> list[dict[str, Any]]:
    """Return pictures with a labelled defect that the model finds, as model.json keeps them.

    If it finds none, the pictures are those whose defects it does not find: such a model should not go live.

    Args:
        model: With its operating points.
        dataset: Labelled images; the more it has not learned from, the better.
    """
    models = Models(model, None, model.card)
    found, missed = list[dict[str, Any]](), list[dict[str, Any]]()
    for image, labels in _defects(model, dataset):
        picture = {"picture": base64.b64encode(image).decode(), "labels": labels}
        (found if finds(models, image, labels) else missed).append(picture)
        if len(found) == _PICTURES:
            break
    return found or missed[:_PICTURES]


def _defects(model: OnnxModel, dataset: Dataset) -> Iterator[tuple[bytes, list[str]]]:
    """Yield images with defects, evenly spread over the data set, as small as the model sees them."""
    card = model.card
    samples = [
        (sample, labels)
        for sample in dataset.samples
        if (labels := sorted({thing.label for thing in sample.objects}.intersection(card.labels)))
    ]
    count = min(_TRIES, len(samples))
    for sample, labels in (samples[number * len(samples) // count] for number in range(count)):
        pixels = decode(dataset.files.read(sample.name), card.input_size, bit_depth=card.bit_depth).pixels
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
        yield buffer.getvalue(), labels

"""The golden pictures that a model carries: before it goes live, it must find their defects again."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.scores import ANOMALY
from training.datasets import Dataset
from training.model.anomaly import AnomalyModel
from training.model.golden import finds
from training.model.models import Models
from training.model.onnx_model import OnnxModel
from training.model.pixels import decode

T = TypeVar("T")
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
    return _golden(Models(model, None, model.card), _defects(model, dataset))


def golden_anomalies(
    model: AnomalyModel, pictures: Sequence[T], pixels_of: Callable[[T], NDArray[np.uint8]]
) -> list[dict[str, Any]]:
    """Return pictures of bad products that an anomaly model finds, as its card keeps them.

    If it finds none, they are those that it does not find. Without bad pictures there are none.

    Args:
        model: With its operating points.
        pictures: Of bad products.
        pixels_of: Returns a picture as the model sees it.
    """
    return _golden(
        Models(None, model, model.card),
        ((_jpeg(pixels_of(picture)), [ANOMALY]) for picture in _spread(pictures)),
    )


def _golden(models: Models, pictures: Iterable[tuple[bytes, list[str]]]) -> list[dict[str, Any]]:
    found, missed = list[dict[str, Any]](), list[dict[str, Any]]()
    for image, labels in pictures:
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
    for sample, labels in _spread(samples):
        data = dataset.files.read(sample.name)
        yield _jpeg(decode(data, card.input_size, bit_depth=card.bit_depth).pixels), labels


def _spread(things: Sequence[T]) -> Iterator[T]:
    """Yield at most _TRIES of them, evenly spread."""
    count = min(_TRIES, len(things))
    return (things[number * len(things) // count] for number in range(count))


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()

"""What every peer does with an image: it calls the same functions as the endpoint, with the same ONNX file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from training.job.container import cores
from training.model.models import placed
from training.model.onnx_model import OnnxModel
from training.model.pixels import decode, quality
from training.serving.inference import answer_document
from training.serving.judged import Judged

CORES = cores()
PORT = int(os.environ.get("PEER_PORT", "0"))


def load() -> OnnxModel:
    """Return the model in the folder $PEER_MODEL, with one thread, because each peer runs a worker on each core."""
    return OnnxModel(Path(os.environ["PEER_MODEL"]), threads=1)


def answer(model: OnnxModel, data: bytes) -> dict[str, Any]:
    """Return the endpoint's response to an image.

    Raises:
        UnreadableError: The image cannot be inspected.
    """
    picture = decode(data, model.card.input_size)
    (found,) = model.detect([picture.pixels])
    judged = Judged(picture, placed(model.card, picture, found), None, model.card, None, [])
    return answer_document(judged) | {"quality": quality(picture.pixels)}

"""What every peer does with an image: the same functions as our endpoint, around the same ONNX file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from training.container import cores
from training.onnx_model import OnnxModel
from training.pixels import decode, quality, to_original

CORES = cores()
PORT = int(os.environ.get("PEER_PORT", "0"))


def load() -> OnnxModel:
    """The model in the folder $PEER_MODEL, one thread an inference: each peer runs one worker a core."""
    return OnnxModel(Path(os.environ["PEER_MODEL"]), threads=1)


def answer(model: OnnxModel, data: bytes) -> dict[str, Any]:
    """The endpoint's document. Raises ImageError."""
    card = model.card
    picture = decode(data, card.input_size)
    (found,) = model.detect([picture.pixels])
    boxes = to_original(found.boxes, picture.width, picture.height).tolist()
    return {
        "model": {"name": card.name, "version": card.version},
        "image": {"width": picture.width, "height": picture.height, "format": picture.format},
        "detections": [
            {"label": card.labels[which], "score": round(score, 4), "box": [round(edge, 2) for edge in box]}
            for which, score, box in zip(found.classes.tolist(), found.scores.tolist(), boxes, strict=True)
        ],
        "quality": quality(picture.pixels),
    }

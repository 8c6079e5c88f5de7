"""Whether a model finds the defects of a picture, as its answers would count."""

from __future__ import annotations

from collections.abc import Collection

from contract.scores import REVIEW_SCORE
from training.model.decoding import to_json
from training.model.onnx_model import OnnxModel
from training.model.pixels import decode
from training.model.tiling import detect_in_tiles


def finds(model: OnnxModel, image: bytes, labels: Collection[str]) -> bool:
    """Return whether a model finds a defect of one of the labels, with at least its own score for that label.

    Args:
        model: The model.
        image: A file.
        labels: The labels.

    Raises:
        UnreadableError: The image cannot be decoded.
        AnswerError: The model's answer is no judgement.
    """
    card = model.card
    picture = decode(image, card.input_size, full_above=card.full_above, bit_depth=card.bit_depth)
    detections = detect_in_tiles(model.detect, picture, card.tiles, card.postprocess.detections, batch_size=1)
    return any(
        found["label"] in labels
        and found["score"] >= card.operating_points.get(found["label"], {}).get("score", REVIEW_SCORE)
        for found in to_json(detections, card.labels, picture.width, picture.height)
    )

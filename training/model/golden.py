"""Whether a model finds the defects of a picture, as its answers would count."""

from __future__ import annotations

from collections.abc import Collection

from contract.scores import REVIEW_SCORE
from training.model.models import Models, decode_for, findings, look


def finds(models: Models, image: bytes, labels: Collection[str]) -> bool:
    """Return whether a model finds a defect of one of the labels, with at least its own score for that label.

    Args:
        models: Of the artefact.
        image: A file.
        labels: The labels.

    Raises:
        UnreadableError: The image cannot be decoded.
        AnswerError: The model's answer is no judgement.
    """
    # The detector's points first: it may have learned a class that is called anomaly, too.
    points: dict[str, dict[str, float]] = {}
    for part in reversed(models.parts):
        points |= part.card.operating_points
    views = decode_for(models, image)
    return any(
        found["label"] in labels
        and found["score"] >= points.get(found["label"], {}).get("score", REVIEW_SCORE)
        for found in findings(models, views.picture, *look(models, views, batch_size=1))
    )

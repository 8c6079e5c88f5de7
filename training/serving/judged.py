"""What the endpoint knows about one image once its models have answered: the content of every form of its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from training.model.anomaly import Judgement
from training.model.artefact import ModelCard
from training.model.pixels import Picture


@dataclass(frozen=True, slots=True)
class Judged:
    """One image, and what the models said.

    Attributes:
        picture: The image; its size is that of the upright original.
        detections: As the JSON answer has them, best first.
        judgement: Of the anomaly model; None without one.
        card: Of the artefact.
        anomaly: The card of the anomaly model, which is `card` if there is no detector; None without one.
        warnings: Why the models may be blind on this image.
    """

    picture: Picture
    detections: list[dict[str, Any]]
    judgement: Judgement | None
    card: ModelCard
    anomaly: ModelCard | None
    warnings: list[str]

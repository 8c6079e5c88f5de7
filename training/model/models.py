"""All models of one artefact: a detector, an anomaly model, or both together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.images import MAX_PIXELS
from training.model.anomaly import AnomalyModel, Judgement, anomalies
from training.model.artefact import ModelCard, read_card
from training.model.decoding import Detections, shift_boxes, to_json
from training.model.onnx_model import OnnxModel
from training.model.pixels import Picture, decode
from training.model.tiling import detect_in_tiles


@dataclass(frozen=True, slots=True)
class Models:
    """The models of an artefact, ready to run. At least one is there.

    Attributes:
        detector: Of known classes.
        anomaly: Of everything that is not as the good products.
        card: Of the artefact: the detector's if there is one, else the anomaly model's.
    """

    detector: OnnxModel | None
    anomaly: AnomalyModel | None
    card: ModelCard

    @property
    def parts(self) -> tuple[OnnxModel | AnomalyModel, ...]:
        """The models that are there."""
        return tuple(model for model in (self.detector, self.anomaly) if model is not None)

    @property
    def provider(self) -> str:
        """ONNX Runtime's name of what they run on."""
        return self.parts[0].provider


@dataclass(frozen=True, slots=True)
class Views:
    """A decoded image, as each model of an artefact sees it.

    Attributes:
        picture: As the artefact's first model sees it.
        anomaly: The pixels for the anomaly model; those of `picture` if it needs no others.
    """

    picture: Picture
    anomaly: NDArray[np.uint8]


def load(folder: Path, threads: int = 0) -> Models:
    """Load all models of an unpacked artefact.

    Args:
        folder: An unpacked artefact.
        threads: Of one inference; 0 lets ONNX Runtime use every core.

    Raises:
        ArtefactError: The artefact is damaged, ONNX Runtime cannot load it, or a graph does not fit its card.
    """
    card = read_card(folder)
    detector = None if card.anomaly is not None else OnnxModel(folder, threads)
    return Models(detector, AnomalyModel(folder, threads) if card.judges_anomalies else None, card)


def decode_for(
    models: Models,
    data: bytes,
    max_pixels: int = MAX_PIXELS,
    seconds: float | None = None,
    bit_depth: int | None = None,
) -> Views:
    """Decode an image for the models of an artefact, once for each input that differs.

    Args:
        models: The artefact's.
        data: The file's bytes.
        max_pixels: As `decode` has it.
        seconds: As `decode` has it, for each time.
        bit_depth: Of the camera, for 16-bit files that do not state it.

    Raises:
        UnreadableError: As `decode` does.
    """

    def decoded(card: ModelCard) -> Picture:
        depth = bit_depth or card.bit_depth
        return decode(data, card.input_size, max_pixels, card.full_above, seconds, depth)

    card, beside = models.card, models.anomaly
    # The other model's first: it keeps nothing of full resolution, which would be in memory twice.
    pixels = decoded(beside.card).pixels if beside and not _same_input(card, beside.card) else None
    picture = decoded(card)
    return Views(picture, picture.pixels if pixels is None else pixels)


def _same_input(one: ModelCard, other: ModelCard) -> bool:
    return (one.input_size, one.bit_depth) == (other.input_size, other.bit_depth)


def look(models: Models, views: Views, batch_size: int = 8) -> tuple[Detections | None, Judgement | None]:
    """Return what each model of an artefact says about one image; None for a model that is not there.

    Args:
        models: The artefact's.
        views: The image, decoded for them.
        batch_size: The most tiles that the detector gets at a time.

    Raises:
        AnswerError: A model's answer is no judgement.
    """
    detections = judgement = None
    if detector := models.detector:
        most = detector.card.postprocess.detections
        detections = detect_in_tiles(detector.detect, views.picture, detector.card.tiles, most, batch_size)
    if models.anomaly:
        judgement = models.anomaly.judge([views.anomaly])[0]
    return detections, judgement


def findings(
    models: Models, picture: Picture, detections: Detections | None, judgement: Judgement | None
) -> list[dict[str, Any]]:
    """Return what the models of an artefact found in an image, best first, as the endpoint answers it.

    Args:
        models: The artefact's.
        picture: The image.
        detections: Of the detector, as it gave them; None without one.
        judgement: Of the anomaly model; None without one.
    """
    found = [] if detections is None else placed(models.card, picture, detections)
    if judgement is None or models.anomaly is None:
        return found
    unusual = placed(models.anomaly.card, picture, anomalies(judgement, models.anomaly.scale))
    if models.detector is None:
        return unusual
    for card, seen in ((models.card, found), (models.anomaly.card, unusual)):
        for finding in seen:
            finding["model"] = card.name
    return sorted([*found, *unusual], key=lambda finding: float(finding["score"]), reverse=True)


def placed(card: ModelCard, picture: Picture, detections: Detections) -> list[dict[str, Any]]:
    """Return detections of one model as the endpoint answers them: boxes in pixels, where the labels are."""
    shifted = shift_boxes(detections, card.box_offset, picture.width, picture.height)
    return to_json(shifted, card.labels, picture.width, picture.height)

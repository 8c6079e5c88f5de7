"""The end of a run: export the model, prove the export, and measure it as it will be served."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from training.detectors import Detector
from training.evaluation.box_offset import box_offset
from training.evaluation.detection import evaluate
from training.job.container import git_sha
from training.learning.data import TrainingData
from training.learning.export import check_parity, export
from training.learning.golden_pictures import golden_pictures
from training.learning.hyperparameters import Hyperparameters
from training.learning.loading import Loader
from training.model.artefact import ModelCard, file_sha256
from training.model.onnx_model import OnnxModel
from training.model.scale import measure

_PARITY_IMAGES = 32


def export_with_card(
    model: Detector, folder: Path, settings: Hyperparameters, data: TrainingData, loader: Loader
) -> ModelCard:
    """Export `model` to `folder`/model.onnx and return its card, which model.json contains.

    Args:
        model: The trained model, on the CPU.
        folder: Created if it is missing.
        settings: The run's hyperparameters. With `refit` there are no images left to validate on.
        data: The run's data.
        loader: The pixels of the training images, with which torch and ONNX Runtime are compared.

    Raises:
        ParityError: The exported model detects something else than `model`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = export(model, folder)
    card = ModelCard(
        name=settings.name,
        family=settings.family,
        labels=data.train.labels,
        input_size=model.input_size,
        normalisation=model.normalisation,
        postprocess=model.postprocess,
        onnx_sha256=file_sha256(path),
        dataset=data.description,
        hyperparameters=settings.model_dump(),
        git_sha=git_sha(),
        scale=measure([(sample.width, sample.height) for sample in data.train.samples], model.input_size),
        bit_depth=settings.bit_depth or None,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    card.write(folder)
    exported = OnnxModel(folder)
    images = [loader.pixels(index).numpy() for index in range(min(_PARITY_IMAGES, len(loader)))]
    difference = check_parity(model, exported, images)
    card = replace(card, box_offset=box_offset(exported, data.train))
    card.metrics["export_score_difference"] = difference
    exported.card = card
    if not settings.refit:
        scores = evaluate(exported, data.validation)
        card.metrics["validation"] = scores.summary()
        card = replace(card, operating_points=scores.operating_points)
    exported.card = card
    return replace(card, golden=golden_pictures(exported, data.validation))

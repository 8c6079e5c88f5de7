"""A detector and an anomaly model in one artefact: known defects, and all else that is not as it should be."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from training.job.errors import TrainingError
from training.model.artefact import (
    ANOMALY_CARD,
    ANOMALY_MODEL,
    CARD,
    MODEL,
    ModelCard,
    read_anomaly_card,
    read_card,
    unpack,
)

_ARCHIVE = "model.tar.gz"


class PairingError(TrainingError):
    """Two models cannot be packed into one artefact."""


def pair(detector: Path, anomaly: Path, folder: Path, name: str | None = None) -> ModelCard:
    """Write an artefact with a detector and an anomaly model.

    Args:
        detector: An unpacked artefact with a detector. An anomaly model beside it is left behind.
        anomaly: An unpacked artefact with an anomaly model, alone or beside a detector.
        folder: Where to write; it is created. It may be one of the two.
        name: The new model's, in its card; None for the detector's.

    Returns:
        The card of the new artefact.

    Raises:
        PairingError: The first is no detector.
        ArtefactError: One of the two is damaged, or the second contains no anomaly model.
    """
    card, beside = read_card(detector), read_anomaly_card(anomaly)
    if card.anomaly is not None:
        raise PairingError(
            f"{card.name} {card.version} is an anomaly model, and no detector to put one beside"
        )
    alone = read_card(anomaly).anomaly is not None
    graphs = {
        MODEL: detector / MODEL,
        ANOMALY_MODEL: anomaly / (MODEL if alone else ANOMALY_MODEL),
    }
    joint = replace(
        card,
        name=name or card.name,
        anomaly_model={"name": beside.name, "version": beside.version},
        operating_points={
            **{label: point for label, point in card.operating_points.items() if label in card.labels},
            **{label: point for label, point in beside.operating_points.items() if label not in card.labels},
        },
        # The detector may bring those of the anomaly model that it had beside it.
        golden=[
            *(picture for picture in card.golden if set(picture["labels"]) & set(card.labels)),
            *beside.golden,
        ],
    )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        # One of the sources may lie in `folder`, and its graph may get the other's name.
        for target, source in graphs.items():
            shutil.copyfile(source, Path(temporary) / target)
        for target in graphs:
            (Path(temporary) / target).replace(folder / target)
    beside.write(folder, ANOMALY_CARD)
    joint.write(folder, CARD)
    return read_card(folder)


def forget_other_half(folder: Path) -> None:
    """Delete what an earlier run has packed beside the model in a folder, before another model is written there."""
    for name in (ANOMALY_CARD, ANOMALY_MODEL):
        (folder / name).unlink(missing_ok=True)


def check_champion(champion: Path) -> None:
    """Check what `keep_other_half` will need, before anything is trained. Raises as that does."""
    with tempfile.TemporaryDirectory() as temporary:
        unpack(_archive(champion), Path(temporary))


def keep_other_half(folder: Path, champion: Path) -> ModelCard | None:
    """Pack a new model with what the champion has beside it.

    A new anomaly model gets the champion's detector, and a new detector the champion's anomaly model.

    Args:
        folder: The artefact of the new model, which becomes that of both.
        champion: The champion's model.tar.gz, or a folder that contains it.

    Returns:
        The card of both; None if the champion has nothing that the new model lacks.

    Raises:
        ArtefactError: The champion is missing or damaged.
    """
    with tempfile.TemporaryDirectory() as temporary:
        other = Path(temporary)
        serving, new = unpack(_archive(champion), other), read_card(folder)
        if new.anomaly is not None:
            return None if serving.anomaly is not None else pair(other, folder, folder)
        return pair(folder, other, folder) if serving.judges_anomalies else None


def _archive(champion: Path) -> Path:
    return champion / _ARCHIVE if champion.is_dir() else champion

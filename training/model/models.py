"""All models of one artefact: a detector, an anomaly model, or both together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.model.anomaly import AnomalyModel
from training.model.artefact import ModelCard, read_card
from training.model.onnx_model import OnnxModel


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

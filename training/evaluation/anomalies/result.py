"""The result of evaluating one anomaly model on one set of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.scores import ANOMALY, FAIL_SCORE
from contract.text import counted, listed
from training.datasets import Dataset
from training.evaluation.anomalies.masks import Masks, masks_of
from training.evaluation.anomalies.points import anomaly_points
from training.evaluation.anomalies.regions import pixel_figures
from training.evaluation.anomalies.scores import Figure, image_figures
from training.evaluation.metrics import Counts, Floats, round_down
from training.evaluation.operating_points import Flags, ImageScores
from training.model.anomaly import Judgement, anomalies
from training.model.artefact import ModelCard
from training.model.decoding import Detections

_SHOWN = 5


@dataclass(frozen=True)
class AnomalyResult:
    """One anomaly model on one set of N images.

    Attributes:
        card: Of the anomaly model, which may be beside a detector.
        judgements: Of each image.
        served: Of each image, the detections that the endpoint would return.
        masks: Which masks count.
        images: What a verdict on each image depends on, for the one class ANOMALY.
        figures: Of `scores.FIGURES` and `regions.FIGURES`; None if undefined.
        points: The operating points.
        threshold: The score from which the model's card calls an image defective.
    """

    card: ModelCard
    judgements: tuple[Judgement, ...]
    served: tuple[Detections, ...]
    masks: Masks
    images: ImageScores
    figures: dict[str, Figure | None]
    points: dict[str, Any]
    threshold: float

    @property
    def scores(self) -> Floats:
        """The score of each image [N], not rounded."""
        return np.array([judgement.score for judgement in self.judgements])

    @property
    def foreign(self) -> Flags:
        """Of each image, whether the model takes it for one of another product, or of none [N]."""
        return np.array([judgement.foreign is not None for judgement in self.judgements])

    def document(self) -> dict[str, Any]:
        """Return what only an anomaly model has, for JSON."""
        masks = self.masks
        return {
            "foreign_images": int(self.foreign.sum()),
            "masks": {
                "counted": len(masks.marked),
                "missing": len(masks.missing),
                "empty": len(masks.empty),
                "contradicting": len(masks.contradicting),
                "unreadable": len(masks.unreadable),
            },
        }

    def warnings(self) -> list[str]:
        """Return what a reader must know before trusting the figures."""
        texts = []
        if not self.images.good.any():
            texts.append(
                "There is no image of a good product here: AUROC, F1, what is caught at zero overkill and the overkill "
                "rate are not measurable."
            )
        if self.images.good.all():
            texts.append(
                "There is no image of a defective product here: only the overkill rate is measurable. A model that "
                "passes everything would look as good."
            )
        for good, kind in ((True, "good"), (False, "defective")):
            texts += self._warning_of_foreign(self.foreign & (self.images.good == good), kind)
        return texts + self.masks.warnings()

    def _warning_of_foreign(self, chosen: Flags, kind: str) -> list[str]:
        names = [name for name, is_chosen in zip(self.masks.names, chosen, strict=True) if is_chosen]
        if not names:
            return []
        return [
            f"The model takes {counted(len(names), f'{kind} image')} for another product or for none, which goes to "
            f"review whatever its distance: {listed(names, _SHOWN)}. AUROC, F1 and what is caught at zero overkill "
            "know distances only."
        ]


def anomaly_result(
    card: ModelCard,
    dataset: Dataset,
    judgements: Sequence[Judgement],
    weights: Counts,
    *,
    escape_rate: float,
    overkill_rate: float,
) -> AnomalyResult:
    """Compute everything about the judgements of an anomaly model.

    Args:
        card: Of the anomaly model.
        dataset: The images.
        judgements: Of each image.
        weights: [resamples, images] how often each image was drawn.
        escape_rate: The share of defective images that may escape.
        overkill_rate: The share of good images that may fail.

    Raises:
        ArtefactError: The operating point in the card is not a score.
        DatasetError: A mask was altered meanwhile.
    """
    assert card.anomaly is not None  # noqa: S101 - it is the card of an anomaly model
    served = tuple(anomalies(judgement, card.anomaly) for judgement in judgements)
    defective = np.array([sample.is_defective for sample in dataset.samples])
    top = np.array([found.scores.max(initial=0) for found in served], np.float64)
    images = ImageScores(
        labels=(ANOMALY,),
        top=round_down(top)[:, None],
        present=defective[:, None],
        good=~defective,
        unlocated=np.zeros(len(served), np.bool_),
        foreign=np.array([judgement.foreign is not None for judgement in judgements]),
    )
    # Distances rank as scores do, and have no ties where scores are rounded to 0 or 1.
    distances = np.array([judgement.distance for judgement in judgements])
    masks = masks_of(dataset)
    own = card.operating_points.get(ANOMALY, {}).get("score", FAIL_SCORE)
    return AnomalyResult(
        card=card,
        judgements=tuple(judgements),
        served=served,
        masks=masks,
        images=images,
        figures={
            **image_figures(distances, ~defective, defective, weights),
            **pixel_figures(dataset, [judgement.map for judgement in judgements], masks, weights),
        },
        points=anomaly_points(
            images,
            weights,
            escape_rate=escape_rate,
            overkill_rate=overkill_rate,
            own=float(own),
            floor=card.postprocess.score_threshold,
        ),
        threshold=float(own),
    )

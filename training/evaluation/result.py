"""The result of evaluating one artefact on one set of images: everything that its page and its JSON contain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contract.scores import ANOMALY
from training.datasets import Dataset
from training.evaluation.anomalies import regions, scores
from training.evaluation.anomalies.result import AnomalyResult, anomaly_result
from training.evaluation.anomalies.scores import Figure, image_figures
from training.evaluation.bootstrap import LEVEL, RESAMPLES, resample
from training.evaluation.boxes import (
    BoxResult,
    box_result,
    none_for_nan,
    without_box_intervals,
    without_boxes,
)
from training.evaluation.left_out import LeftOut, left_out
from training.evaluation.metrics import Counts, rounded
from training.evaluation.operating_points import ImageScores, rules_document, sweep, verdict_rates
from training.evaluation.options import Rates
from training.model.anomaly import Judgement
from training.model.artefact import ModelCard
from training.model.decoding import Detections, to_json

SEED = 0
Kind = Literal["detector", "anomaly", "both"]


@dataclass(frozen=True)
class Found:
    """What the models of an artefact found on N images.

    Attributes:
        boxes: Of each image the detector's detections, as `detection.detect` returns them, the weak ones too; None
            without a detector.
        judgements: Of each image the anomaly model's judgement; None without one.
        anomaly_card: Of the anomaly model; None without one.
    """

    boxes: Sequence[Detections] | None
    judgements: Sequence[Judgement] | None = None
    anomaly_card: ModelCard | None = None


@dataclass(frozen=True)
class Evaluation:
    """One artefact on one set of images.

    Attributes:
        card: Of the artefact.
        dataset: The images.
        weights: [resamples, images] how often each image was drawn.
        boxes: What the detector found; None without one.
        anomalies: What the anomaly model found; None without one.
        images: What a verdict on each image depends on, all models together.
        figures: How well the best score of each image separates good from defective images, and where there are masks,
            how well the heat maps show the defects.
        rules: A rules document made of the operating points.
        left_out: What is not in the figures.
    """

    card: ModelCard
    dataset: Dataset
    weights: Counts
    boxes: BoxResult | None
    anomalies: AnomalyResult | None
    images: ImageScores
    figures: dict[str, Figure | None]
    rules: dict[str, Any]
    left_out: LeftOut

    @property
    def kind(self) -> Kind:
        """What the artefact consists of."""
        if self.anomalies is None:
            return "detector"
        return "anomaly" if self.boxes is None else "both"

    @property
    def points(self) -> dict[str, dict[str, Any]]:
        """The operating points of each class."""
        return _points(self.boxes, self.anomalies)

    @property
    def unknown(self) -> list[str]:
        """Classes of the data set that the detector does not know. It cannot find them, and scores 0 there."""
        if self.boxes is None:
            return []
        return [label for label in self.dataset.labels if label not in self.card.answered_labels]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Of which images [N] the models, at their own operating points, say the opposite of the label."""
        alarm = np.zeros(len(self.dataset.samples), np.bool_)
        if self.boxes is not None:
            alarm |= np.any(self.boxes.images.top >= self.boxes.thresholds, axis=1)
        if self.anomalies is not None:
            alarm |= self.anomalies.images.top[:, 0] >= self.anomalies.threshold
        result: NDArray[np.bool_] = alarm == self.images.good
        return result

    def answer(self, index: int) -> list[dict[str, Any]]:
        """Return the detections of an image as the endpoint answers them, the best first."""
        sample = self.dataset.samples[index]
        found = []
        if self.boxes is not None:
            found += to_json(self.boxes.served[index], self.card.labels, sample.width, sample.height)
        if self.anomalies is not None:
            found += to_json(self.anomalies.served[index], [ANOMALY], sample.width, sample.height)
        return sorted(found, key=lambda detection: -detection["score"])

    def document(self) -> dict[str, Any]:
        """Return the result for JSON: figures with four digits, None if undefined, never NaN."""
        dataset, boxes = self.dataset, self.boxes
        document = without_boxes(dataset) if boxes is None else boxes.document()
        if self.anomalies is not None:
            shares = rounded(sweep(self.anomalies.images, 0))
            document |= {**self.anomalies.document(), "sweep": {**document["sweep"], ANOMALY: shares}}
        return {
            "kind": self.kind,
            **rounded(scores.document(self.figures)),
            **document,
            "parts": self._parts(),
            "confidence": self._confidence(),
            "operating_points": self.points,
            "verdicts": verdict_rates(self.images, self.rules, self.weights),
            "good_images": int(self.images.good.sum()),
            "defective_images": int((~self.images.good).sum()),
            "unknown_classes": self.unknown,
            "left_out": self.left_out.document(),
            "model": {
                "name": self.card.name,
                "version": self.card.version,
                "family": self.card.family,
                "kind": self._description(),
                "export_score_difference": self.card.metrics.get("export_score_difference"),
            },
        }

    def _description(self) -> str:
        beside = f" and {self.anomalies.card.kind}" if self.kind == "both" and self.anomalies else ""
        return f"{self.card.kind}{beside}"

    def _parts(self) -> dict[str, Any]:
        """The figures of each model, if there are two."""
        if self.boxes is None or self.anomalies is None:
            return {}
        return {
            name: {
                **rounded(scores.document(part.figures)),
                "confidence": rounded(scores.intervals(part.figures)),
            }
            for name, part in (("detector", self.boxes), ("anomaly", self.anomalies))
        }

    def _confidence(self) -> dict[str, Any]:
        boxes, ranked = self.boxes, self.figures["image_auroc"]
        document: dict[str, Any] = rounded(
            {
                "level": LEVEL,
                "resamples": RESAMPLES,
                "seed": SEED,
                **(without_box_intervals(self.dataset) if boxes is None else boxes.confidence()),
                **scores.intervals(self.figures),
                # As map_resamples: the same resamples for every model on these images.
                "image_auroc_resamples": [] if ranked is None else none_for_nan(ranked.samples),
            }
        )
        return document


def evaluate_results(
    card: ModelCard,
    dataset: Dataset,
    found: Found,
    rates: Rates,
    *,
    unreadable: Sequence[str] = (),
    crowds: int = 0,
) -> Evaluation:
    """Compute everything about what the models of an artefact found.

    Args:
        card: Of the artefact.
        dataset: The images.
        found: On these images.
        rates: What the operating points are for.
        unreadable: The images that could not be read, and are not in `dataset`.
        crowds: The number of crowds in the data set.

    Raises:
        ArtefactError: An operating point in the card is not a score.
        DatasetError: A mask was altered meanwhile.
    """
    weights = resample(len(dataset.samples), seed=SEED)
    boxes = None if found.boxes is None else box_result(card, dataset, found.boxes, weights, rates.escape)
    judged = None
    if found.judgements is not None and found.anomaly_card is not None:
        judged = anomaly_result(
            found.anomaly_card,
            dataset,
            found.judgements,
            weights,
            escape_rate=rates.escape,
            overkill_rate=rates.overkill,
        )
    version = f"{card.name[:40]}-{card.version}-escape-{rates.escape:g}"
    return Evaluation(
        card=card,
        dataset=dataset,
        weights=weights,
        boxes=boxes,
        anomalies=judged,
        images=_images(boxes, judged),
        figures=_figures(boxes, judged, weights),
        rules=rules_document(_points(boxes, judged), version, card.postprocess.score_threshold),
        left_out=_left_out(card, dataset, boxes, unreadable, crowds),
    )


def _points(boxes: BoxResult | None, judged: AnomalyResult | None) -> dict[str, dict[str, Any]]:
    points = {} if boxes is None else dict(boxes.points)
    return points if judged is None else {**points, ANOMALY: judged.points}


def _images(boxes: BoxResult | None, judged: AnomalyResult | None) -> ImageScores:
    """What the verdicts of both models together depend on: a detector's classes, and then the anomalies."""
    if boxes is None or judged is None:
        (part,) = [part for part in (boxes, judged) if part is not None]
        return part.images
    kept = [column for column, label in enumerate(boxes.images.labels) if label != ANOMALY]
    return ImageScores(
        labels=(*(boxes.images.labels[column] for column in kept), ANOMALY),
        top=np.hstack([boxes.images.top[:, kept], judged.images.top]),
        present=np.hstack([boxes.images.present[:, kept], judged.images.present]),
        good=boxes.images.good,
        unlocated=boxes.images.unlocated,
        foreign=judged.images.foreign,
    )


def _figures(
    boxes: BoxResult | None, judged: AnomalyResult | None, weights: Counts
) -> dict[str, Figure | None]:
    pixels = dict.fromkeys(regions.FIGURES) if judged is None else judged.figures
    if boxes is None or judged is None:
        (part,) = [part for part in (boxes, judged) if part is not None]
        return {**pixels, **part.figures}
    good = judged.images.good
    best = np.maximum(boxes.scores, judged.scores)
    return {**pixels, **image_figures(best, good, ~good, weights)}


def _left_out(
    card: ModelCard, dataset: Dataset, boxes: BoxResult | None, unreadable: Sequence[str], crowds: int
) -> LeftOut:
    if boxes is None:  # an image counts as a whole, whatever its boxes and classes are
        return LeftOut(tuple(unreadable))
    return left_out(dataset, card.answered_labels, card.postprocess.detections, unreadable, crowds)

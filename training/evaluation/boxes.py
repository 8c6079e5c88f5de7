"""The result of evaluating a detector on one set of images, box by box."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.scores import FAIL_SCORE
from training.datasets import Dataset
from training.evaluation.anomalies.scores import Figure, image_figures
from training.evaluation.bootstrap import average_precision, interval, mean_over_classes
from training.evaluation.metrics import (
    Counts,
    DetailedScores,
    Floats,
    ImageDetections,
    map_to_dataset,
    rounded,
    score_in_detail,
)
from training.evaluation.operating_points import (
    ImageScores,
    as_served,
    image_scores,
    operating_points,
    sweep,
)
from training.evaluation.outcomes import Outcome, at_thresholds, confusion, outcomes
from training.model.artefact import ArtefactError, ModelCard
from training.model.decoding import Detections

MEANS = ("map", "map50", "map75")


@dataclass(frozen=True)
class BoxResult:
    """One detector on one set of images.

    Attributes:
        labels: The data set's classes.
        details: pycocotools' scores of all detections, the weak ones too.
        precision: [resamples, classes, 10] the AP of each resample.
        images: What a verdict on each image depends on.
        scores: [N] the best score of each image, of any class; 0 without a detection.
        figures: How well these separate good and defective images (`anomalies.scores.FIGURES`).
        points: The operating points of each class.
        thresholds: [classes] the scores that `detections` and `outcomes` apply.
        served: Of each image, what the endpoint would return.
        detections: Of each image, those that reach the thresholds.
        outcomes: Of each image.
    """

    labels: tuple[str, ...]
    details: DetailedScores
    precision: Floats
    images: ImageScores
    scores: Floats
    figures: dict[str, Figure | None]
    points: dict[str, dict[str, Any]]
    thresholds: Floats
    served: tuple[Detections, ...]
    detections: list[ImageDetections]
    outcomes: list[list[Outcome]]

    @property
    def has_objects(self) -> bool:
        """Whether any image has a labelled object; without one, no average precision is defined."""
        return self.details.scores.objects > 0

    def document(self) -> dict[str, Any]:
        """Return the figures for JSON: four digits, None if undefined, never NaN."""
        return {
            **self.details.scores.summary(),
            **({} if self.has_objects else dict.fromkeys(MEANS)),
            "objects_per_class": {match.label: int(match.objects.sum()) for match in self.details.matches},
            "confusion": {
                "labels": [*self.labels, "background"],
                "thresholds": rounded(dict(zip(self.labels, self.thresholds, strict=True))),
                "counts": confusion(self.outcomes, len(self.labels)).tolist(),
            },
            "curves": {
                label: None if curve is None else rounded(curve.tolist())
                for label, curve in self.details.curves.items()
            },
            "sweep": {label: rounded(sweep(self.images, column)) for column, label in enumerate(self.labels)},
        }

    def confidence(self) -> dict[str, Any]:
        """Return the intervals for JSON."""
        scores, precision = self.details.scores, self.precision
        samples = dict(zip(MEANS, (precision, precision[:, :, 0], precision[:, :, 5]), strict=True))
        return {
            **{
                name: interval(getattr(scores, name), mean_over_classes(samples[name]))
                if self.has_objects
                else None
                for name in MEANS
            },
            # The resamples are the same for every model on these images, so differences can be paired.
            "map_resamples": none_for_nan(mean_over_classes(precision)),
            "per_class": _class_intervals(scores.per_class, precision),
            "per_class50": _class_intervals(scores.per_class50, precision[:, :, :1]),
        }


def without_boxes(dataset: Dataset) -> dict[str, Any]:
    """Return the document of a model that has no detector: the same names, and nothing measured."""
    classes = dict.fromkeys(dataset.labels)
    return {
        **dict.fromkeys(MEANS),
        "per_class": classes,
        "per_class50": classes,
        "per_size": None,
        "recall": None,
        "images": len(dataset.samples),
        "objects": sum(len(sample.objects) for sample in dataset.samples),
        "objects_per_class": {
            label: sum(item.label == label for sample in dataset.samples for item in sample.objects)
            for label in dataset.labels
        },
        "confusion": None,
        "curves": {},
        "sweep": {},
    }


def without_box_intervals(dataset: Dataset) -> dict[str, Any]:
    """Return the intervals of a model that has no detector."""
    classes = dict.fromkeys(dataset.labels)
    return {**dict.fromkeys(MEANS), "map_resamples": [], "per_class": classes, "per_class50": classes}


def none_for_nan(samples: Iterable[float]) -> list[float | None]:
    """Return numbers for JSON, which has no NaN."""
    return [None if np.isnan(value) else float(value) for value in samples]


def _class_intervals(points: Mapping[str, float | None], samples: Floats) -> dict[str, Any]:
    return {
        label: None if point is None else interval(point, mean_over_classes(samples[:, column]))
        for column, (label, point) in enumerate(points.items())
    }


def box_result(
    card: ModelCard, dataset: Dataset, results: Sequence[Detections], weights: Counts, escape_rate: float
) -> BoxResult:
    """Compute everything about a detector's detections.

    The confusion matrix and the pictures apply the operating points in the model's card, which were chosen on other
    images. A class without one there gets the operating point found here.

    Args:
        card: Of the detector.
        dataset: The images.
        results: The detections of each sample as `detection.detect` returns them, the weak ones too.
        weights: [resamples, images] how often each image was drawn.
        escape_rate: The share of images that may escape.

    Raises:
        ArtefactError: An operating point in the card is not a score.
    """
    details = score_in_detail(dataset, _placed(dataset, map_to_dataset(dataset, results, card.labels)))
    served = tuple(as_served(detections, card.postprocess) for detections in results)
    mapped = map_to_dataset(dataset, served, card.labels)
    images = image_scores(dataset, mapped)
    points = operating_points(images, details.matches, weights, escape_rate)
    thresholds = np.array([_threshold(card, label, points) for label in dataset.labels])
    shown = [at_thresholds(detections, thresholds) for detections in _placed(dataset, mapped)]
    best = np.array([found.scores.max(initial=0) for found in results], np.float64)
    return BoxResult(
        labels=dataset.labels,
        details=details,
        precision=average_precision(details.matches, weights),
        images=images,
        scores=best,
        figures=image_figures(best, images.good, ~images.good, weights),
        points=points,
        thresholds=thresholds,
        served=served,
        detections=shown,
        outcomes=[
            outcomes(sample, detections, dataset.labels)
            for sample, detections in zip(dataset.samples, shown, strict=True)
        ],
    )


def _placed(dataset: Dataset, results: Sequence[ImageDetections]) -> list[ImageDetections]:
    """Return the detections without those in images that show a defect nobody knows the place of.

    They are neither right nor wrong.
    """
    return [
        ImageDetections(found.boxes[:0], found.scores[:0], found.classes[:0])
        if sample.has_unplaced_defect
        else found
        for sample, found in zip(dataset.samples, results, strict=True)
    ]


def _threshold(card: ModelCard, label: str, points: Mapping[str, Mapping[str, Any]]) -> float:
    """The score from which a class counts as found: the card's best point, else the best one here."""
    own = card.operating_points.get(label)
    best = own if isinstance(own, Mapping) else points[label]["best_f1"] or {}
    try:
        return float(best.get("score", FAIL_SCORE))
    except (TypeError, ValueError) as error:
        raise ArtefactError(
            f"the operating point of {label!r} in model.json is not a score: {own}"
        ) from error

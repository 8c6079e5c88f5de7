"""The result of evaluating one model on one set of images: everything that its page and its JSON contain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.scores import FAIL_SCORE
from training.datasets import Dataset
from training.evaluation.bootstrap import (
    LEVEL,
    RESAMPLES,
    average_precision,
    interval,
    mean_over_classes,
    resample,
)
from training.evaluation.left_out import LeftOut, left_out
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
    rules_document,
    sweep,
    verdict_rates,
)
from training.evaluation.outcomes import Outcome, at_thresholds, confusion, outcomes
from training.evaluation.wording import count_of, verdict_warnings
from training.model.artefact import ArtefactError, ModelCard
from training.model.decoding import Detections

SEED = 0


@dataclass(frozen=True)
class Evaluation:
    """One model on one set of images.

    Attributes:
        card: Of the model.
        dataset: The images.
        details: pycocotools' scores of all detections, the weak ones too.
        weights: [resamples, images] how often each image was drawn.
        precision: [resamples, classes, 10] the AP of each resample.
        images: What a verdict on each image depends on.
        points: The operating points of each class.
        rules: A rules document made of them.
        thresholds: [classes] the scores that `detections` and `outcomes` apply.
        detections: Of each image, those that reach the thresholds.
        outcomes: Of each image.
        left_out: What is not in the figures.
    """

    card: ModelCard
    dataset: Dataset
    details: DetailedScores
    weights: Counts
    precision: Floats
    images: ImageScores
    points: dict[str, dict[str, Any]]
    rules: dict[str, Any]
    thresholds: Floats
    detections: list[ImageDetections]
    outcomes: list[list[Outcome]]
    left_out: LeftOut

    @property
    def unknown(self) -> list[str]:
        """Classes of the data set that the model does not know. It cannot find them, and scores 0 there."""
        return [label for label in self.dataset.labels if label not in self.card.labels]

    def document(self) -> dict[str, Any]:
        """Return the result for JSON: figures with four digits, None if undefined, never NaN."""
        scores, labels = self.details.scores, self.dataset.labels
        summary = scores.summary()
        if not scores.objects:
            summary |= {"map": None, "map50": None, "map75": None}
        return {
            **summary,
            "confidence": self._confidence(),
            "operating_points": self.points,
            "verdicts": verdict_rates(self.images, self.rules, self.weights),
            "good_images": int(self.images.good.sum()),
            "objects_per_class": {match.label: int(match.objects.sum()) for match in self.details.matches},
            "confusion": {
                "labels": [*labels, "background"],
                "thresholds": rounded(dict(zip(labels, self.thresholds, strict=True))),
                "counts": confusion(self.outcomes, len(labels)).tolist(),
            },
            "curves": {
                label: None if curve is None else rounded(curve.tolist())
                for label, curve in self.details.curves.items()
            },
            "sweep": {label: rounded(sweep(self.images, column)) for column, label in enumerate(labels)},
            "unknown_classes": self.unknown,
            "left_out": self.left_out.document(),
            "model": {
                "name": self.card.name,
                "version": self.card.version,
                "family": self.card.family,
                "kind": self.card.kind,
                "export_score_difference": self.card.metrics.get("export_score_difference"),
            },
        }

    def _confidence(self) -> dict[str, Any]:
        scores, precision = self.details.scores, self.precision
        means = {
            "map": (scores.map, precision),
            "map50": (scores.map50, precision[:, :, 0]),
            "map75": (scores.map75, precision[:, :, 5]),
        }
        document: dict[str, Any] = rounded(
            {
                "level": LEVEL,
                "resamples": RESAMPLES,
                "seed": SEED,
                **{
                    name: interval(point, mean_over_classes(samples)) if scores.objects else None
                    for name, (point, samples) in means.items()
                },
                # The resamples are the same for every model on these images, so differences can be paired.
                "map_resamples": _none_for_nan(mean_over_classes(precision)),
                "per_class": _class_intervals(scores.per_class, precision),
                "per_class50": _class_intervals(scores.per_class50, precision[:, :, :1]),
            }
        )
        return document


def _class_intervals(points: Mapping[str, float | None], samples: Floats) -> dict[str, Any]:
    return {
        label: None if point is None else interval(point, mean_over_classes(samples[:, column]))
        for column, (label, point) in enumerate(points.items())
    }


def _none_for_nan(samples: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in samples]


def evaluate_results(
    card: ModelCard,
    dataset: Dataset,
    results: Sequence[Detections],
    escape_rate: float,
    *,
    unreadable: Sequence[str] = (),
    crowds: int = 0,
) -> Evaluation:
    """Compute everything about a model's detections.

    The confusion matrix and the pictures apply the operating points in the model's card, which were chosen on other
    images. A class without one there gets the operating point found here.

    Args:
        card: Of the model.
        dataset: The images.
        results: The detections of each sample as `detection.detect` returns them, the weak ones too.
        escape_rate: The share of images that may escape.
        unreadable: The images that could not be read, and are not in `dataset`.
        crowds: The number of crowds in the data set.

    Raises:
        ArtefactError: An operating point in the card is not a score.
    """
    details = score_in_detail(dataset, _placed(dataset, map_to_dataset(dataset, results, card.labels)))
    weights = resample(len(dataset.samples), seed=SEED)
    served = [as_served(detections, card.postprocess) for detections in results]
    mapped = map_to_dataset(dataset, served, card.labels)
    images = image_scores(dataset, mapped)
    points = operating_points(images, details.matches, weights, escape_rate)
    thresholds = np.array([_threshold(card, label, points) for label in dataset.labels])
    shown = [at_thresholds(detections, thresholds) for detections in _placed(dataset, mapped)]
    version = f"{card.name[:40]}-{card.version}-escape-{escape_rate:g}"
    return Evaluation(
        card=card,
        dataset=dataset,
        details=details,
        weights=weights,
        precision=average_precision(details.matches, weights),
        images=images,
        points=points,
        rules=rules_document(points, version, card.postprocess.score_threshold),
        thresholds=thresholds,
        detections=shown,
        outcomes=[
            outcomes(sample, detections, dataset.labels)
            for sample, detections in zip(dataset.samples, shown, strict=True)
        ],
        left_out=left_out(dataset, card.labels, card.postprocess.detections, unreadable, crowds),
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


def warnings(evaluation: Evaluation, verdicts: Mapping[str, Any], split: str, snapshot: str) -> list[str]:
    """Return what a reader must know before trusting the figures.

    Args:
        evaluation: The result.
        verdicts: The rates of the rules made of its operating points.
        split: The part of the data set that was evaluated.
        snapshot: Of the whole data set.
    """
    texts: list[str] = []
    trained = evaluation.card.dataset
    if trained.get("snapshot") == snapshot:
        learned = ("train", "validation", "all") if trained.get("validation") == 0 else ("train", "all")
        if split in learned or "channel" in str(trained.get("split")):
            texts.append(
                f"The model learned from these very images (part {split!r} of its own data set): "
                "the figures flatter it. Use the test part, or other images."
            )
        elif split == "validation":
            texts.append(
                "The model's best epoch was chosen on these very images (the validation part of its own "
                "data set): the figures flatter it. Use the test part."
            )
    if evaluation.unknown:
        texts.append(f"The model does not know {_list(evaluation.unknown)}, and scores 0 there.")
    return texts + verdict_warnings(verdicts)


def notes(evaluation: Evaluation, verdicts: Mapping[str, Any], escape_rate: float) -> list[str]:
    """Return what these images and this model cannot tell."""
    texts: list[str] = []
    labels, scores = evaluation.dataset.labels, evaluation.details.scores
    if beyond := [label for label in evaluation.card.labels if label not in labels]:
        texts.append(f"The data set has no class {_list(beyond)}: the model's detections of it do not count.")
    absent = [label for label, value in scores.per_class.items() if value is None]
    missing = [
        label
        for label, points in evaluation.points.items()
        if label not in absent and label not in evaluation.unknown and not points["escape"]
    ]
    if missing:
        texts.append(
            f"An escape rate of {escape_rate:.1%} is out of reach for {_list(missing)}: in more images than that "
            "the model finds none of it at any score."
        )
    if not evaluation.images.good.any():
        texts.append(
            "There is no image of a good product here, so the overkill rate is not measurable. Rules made of these "
            f"operating points fail {count_of(verdicts['fail_rate'])} images; a model that fails everything would look "
            "as good. The false alarm rate, over images of other defects, is the nearest to it."
        )
    if evaluation.images.good.all():
        texts.append(
            "There is no image of a defective product here, so the escape rate is not measurable: a model that "
            "passes everything would look as good."
        )
    return texts


def _list(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)

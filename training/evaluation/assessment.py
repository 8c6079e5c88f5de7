"""One model on one set of images: everything that its page and its JSON say."""

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
from training.evaluation.metrics import Counts, Floats, Judged, Placed, judge, place, rounded
from training.evaluation.operating_points import (
    Images,
    images,
    operating_points,
    rules,
    served,
    sweep,
    verdicts,
)
from training.evaluation.outcomes import Outcome, at_points, confusion, outcomes
from training.model.artefact import ArtefactError, ModelCard
from training.model.decoding import Detections

SEED = 0


@dataclass(frozen=True)
class Evaluation:
    """What was found in each image, what became of it, and how sure each figure is.

    dataset: the images judged; judged: what pycocotools says of everything found.
    precision: [resamples, classes, 10] AP of each resample; weights: [resamples, images] the resamples.
    seen: the images as a verdict sees them; points: the operating points of each class; rules: made of them.
    thresholds: [classes] those in force in `placed`, the detections shown, and in `outcomes`.
    """

    card: ModelCard
    dataset: Dataset
    judged: Judged
    weights: Counts
    precision: Floats
    seen: Images
    points: dict[str, dict[str, Any]]
    rules: dict[str, Any]
    thresholds: Floats
    placed: list[Placed]
    outcomes: list[list[Outcome]]

    @property
    def unknown(self) -> list[str]:
        """Classes of the data set that the model does not know: it cannot find them, and scores 0 there."""
        return [label for label in self.dataset.labels if label not in self.card.labels]

    def document(self) -> dict[str, Any]:
        """For JSON: figures with four digits, None for what is not defined, never NaN."""
        scores = self.judged.scores
        summary = scores.summary()
        if not scores.objects:
            summary |= {"map": None, "map50": None, "map75": None}
        return {
            **summary,
            "confidence": self._confidence(),
            "operating_points": self.points,
            "verdicts": verdicts(self.seen, self.rules, self.weights),
            "good_images": int(self.seen.good.sum()),
            "objects_per_class": {each.label: int(each.objects.sum()) for each in self.judged.matches},
            "confusion": {
                "labels": [*self.dataset.labels, "background"],
                "thresholds": rounded(dict(zip(self.dataset.labels, self.thresholds, strict=True))),
                "counts": confusion(self.outcomes, len(self.dataset.labels)).tolist(),
            },
            "curves": {
                label: None if each is None else rounded(each.tolist())
                for label, each in self.judged.curves.items()
            },
            "sweep": {
                label: rounded(sweep(self.seen, column)) for column, label in enumerate(self.dataset.labels)
            },
            "unknown_classes": self.unknown,
            "model": {
                "name": self.card.name,
                "version": self.card.version,
                "family": self.card.family,
                "kind": self.card.kind,
                "export_score_difference": self.card.metrics.get("export_score_difference"),
            },
        }

    def _confidence(self) -> dict[str, Any]:
        scores, precision = self.judged.scores, self.precision

        def each(points: Mapping[str, float | None], samples: Floats) -> dict[str, Any]:
            return {
                label: None if point is None else interval(point, mean_over_classes(samples[:, column]))
                for column, (label, point) in enumerate(points.items())
            }

        whole = {
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
                    for name, (point, samples) in whole.items()
                },
                # Resamples are the same for every model on these images: differences can be taken pair by pair.
                "map_resamples": _known(mean_over_classes(precision)),
                "per_class": each(scores.per_class, precision),
                "per_class50": each(scores.per_class50, precision[:, :, :1]),
            }
        )
        return document


def _known(samples: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in samples]


def assess(card: ModelCard, dataset: Dataset, found: Sequence[Detections], wanted: float) -> Evaluation:
    """Everything that can be said of the detections `found`, one per sample, for an escape rate `wanted`.

    found: as for the metrics, the weak ones too. The confusion matrix and the pictures use the operating
    points that the model brought along, which were chosen on other images; those found here only for a class
    that it has none of.
    """
    judged = judge(dataset, place(dataset, found, card.labels))
    weights = resample(len(dataset.samples), seed=SEED)
    placed = place(dataset, [served(each, card.postprocess) for each in found], card.labels)
    seen = images(dataset, placed)
    points = operating_points(seen, judged.matches, weights, wanted)
    thresholds = np.array([_threshold(card, label, points) for label in dataset.labels])
    shown = [at_points(each, thresholds) for each in placed]
    version = f"{card.name[:40]}-{card.version}-escape-{wanted:g}"
    return Evaluation(
        card,
        dataset,
        judged,
        weights,
        average_precision(judged.matches, weights),
        seen,
        points,
        rules(points, version, card.postprocess.score_threshold),
        thresholds,
        shown,
        [outcomes(sample, each, dataset.labels) for sample, each in zip(dataset.samples, shown, strict=True)],
    )


def _threshold(card: ModelCard, label: str, points: Mapping[str, Mapping[str, Any]]) -> float:
    """The score at which a class is acted upon: the model's own best point, else the best one here."""
    own = card.operating_points.get(label)
    best = own if isinstance(own, Mapping) else points[label]["best_f1"] or {}
    try:
        return float(best.get("score", FAIL_SCORE))
    except (TypeError, ValueError) as error:
        raise ArtefactError(f"the operating point of {label!r} in model.json is no score: {own}") from error


def warnings(evaluation: Evaluation, split: str, snapshot: str) -> list[str]:
    """What a reader must know before believing the figures.

    snapshot: of the whole data set that `split` was taken from.
    """
    said: list[str] = []
    trained = evaluation.card.dataset
    if trained.get("snapshot") == snapshot:
        learned = ("train", "validation", "all") if trained.get("validation") == 0 else ("train", "all")
        if split in learned or "channel" in str(trained.get("split")):
            said.append(
                f"The model learned from these very images (part {split!r} of its own data set): "
                "the figures flatter it. Use the test part, or other images."
            )
        elif split == "validation":
            said.append(
                "The model's best epoch was chosen on these very images (the validation part of its own "
                "data set): the figures flatter it. Use the test part."
            )
    if evaluation.unknown:
        said.append(f"The model does not know {_list(evaluation.unknown)}, and scores 0 there.")
    return said


def notes(evaluation: Evaluation, wanted: float) -> list[str]:
    """What these images and this model cannot tell, for an escape rate `wanted`."""
    said: list[str] = []
    if beyond := [label for label in evaluation.card.labels if label not in evaluation.dataset.labels]:
        said.append(f"The data set says nothing of {_list(beyond)}: what the model finds of it is left out.")
    if absent := [label for label, value in evaluation.judged.scores.per_class.items() if value is None]:
        said.append(f"No image here holds {_list(absent)}: nothing can be said of it.")
    missing = [
        label
        for label, each in evaluation.points.items()
        if label not in absent and label not in evaluation.unknown and not each["escape"]
    ]
    if missing:
        said.append(
            f"An escape rate of {wanted:.1%} cannot be had for {_list(missing)}: in more images than that "
            "the model finds none of it at any score."
        )
    if not evaluation.seen.good.any():
        said.append(
            "There is no image of a good product here, so the overkill rate is unknown; the false alarm "
            "rate, over images of other defects, is the nearest to it."
        )
    return said


def _list(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)

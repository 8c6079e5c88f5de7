"""What a reader must know before trusting the figures of an evaluation, and what they cannot tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.evaluation.options import Rates
from training.evaluation.result import Evaluation
from training.evaluation.wording import count_of, verdict_warnings
from training.model.artefact import ModelCard


def warnings(evaluation: Evaluation, verdicts: Mapping[str, Any], split: str, snapshot: str) -> list[str]:
    """Return what a reader must know before trusting the figures.

    Args:
        evaluation: The result.
        verdicts: The rates of the rules made of its operating points.
        split: The part of the data set that was evaluated.
        snapshot: Of the whole data set.
    """
    texts: list[str] = []
    anomalies = evaluation.anomalies
    if evaluation.boxes is not None:
        texts += _detector_learned(evaluation.card, split, snapshot)
    if anomalies is not None and not texts:
        texts += _anomaly_model_learned(anomalies.card, split, snapshot)
    if evaluation.unknown:
        texts.append(f"The model does not know {_list(evaluation.unknown)}, and scores 0 there.")
    if anomalies is not None:
        texts += anomalies.warnings()
    return texts + verdict_warnings(verdicts)


def _detector_learned(card: ModelCard, split: str, snapshot: str) -> list[str]:
    trained = card.dataset
    if trained.get("snapshot") != snapshot:
        return []
    learned = ("train", "validation", "all") if trained.get("validation") == 0 else ("train", "all")
    if split in learned or "channel" in str(trained.get("split")):
        return [_flattered(split)]
    if split == "validation":
        return [
            "The model's best epoch was chosen on these very images (the validation part of its own data set): the "
            "figures flatter it. Use the test part."
        ]
    return []


def _anomaly_model_learned(card: ModelCard, split: str, snapshot: str) -> list[str]:
    """An anomaly model has no epochs: it learns from the good images of both parts."""
    trained = card.dataset
    if trained.get("snapshot") == snapshot and (split != "test" or "channel" in str(trained.get("split"))):
        return [_flattered(split)]
    return []


def _flattered(split: str) -> str:
    return (
        f"The model learned from these very images (part {split!r} of its own data set): the figures flatter it. "
        "Use the test part, or other images."
    )


def notes(evaluation: Evaluation, verdicts: Mapping[str, Any], rates: Rates) -> list[str]:
    """Return what these images and this model cannot tell.

    Args:
        evaluation: The result.
        verdicts: The rates of the rules made of its operating points.
        rates: What the operating points are for.
    """
    texts: list[str] = []
    labels, anomalies = evaluation.dataset.labels, evaluation.anomalies
    absent: list[str] = []
    if evaluation.boxes is not None:
        if beyond := [label for label in evaluation.card.labels if label not in labels]:
            texts.append(
                f"The data set has no class {_list(beyond)}: the model's detections of it do not count."
            )
        per_class = evaluation.boxes.details.scores.per_class
        absent = [label for label, value in per_class.items() if value is None]
    missing = [
        label
        for label, points in evaluation.points.items()
        if label not in absent
        and label not in evaluation.unknown
        and not points["escape"]
        and points["lowest_escape_rate"]
    ]
    if missing:
        texts.append(
            f"An escape rate of {rates.escape:.1%} is out of reach for {_list(missing)}: in more images than that "
            "the model finds none of it at any score."
        )
    if anomalies is not None:
        note = anomalies.masks.note()
        return [*texts, note] if note else texts
    return texts + _degenerate(evaluation, verdicts)


def _degenerate(evaluation: Evaluation, verdicts: Mapping[str, Any]) -> list[str]:
    """What a detector's figures cannot tell without good or without defective images."""
    texts = []
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

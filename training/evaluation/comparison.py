"""Which of several models is better, by how much, and how surely: all are evaluated on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from training.evaluation.bootstrap import interval, mean_over_classes
from training.evaluation.cost import price_list, training_cost
from training.evaluation.metrics import Floats, rounded
from training.evaluation.options import Rates
from training.evaluation.result import Evaluation
from training.evaluation.runner import Selection, evaluate_artefact
from training.evaluation.seeds import seed_statistics
from training.evaluation.summary import IMAGE_FIGURES
from training.job.stopping import Stopped
from training.model.artefact import ArtefactError

# What the comparison takes over from each model's own report.
_KEPT = (
    "kind",
    "map",
    "map50",
    "map75",
    *IMAGE_FIGURES,
    "per_class",
    "confidence",
    "latency",
    "model_bytes",
    "verdicts",
    "warnings",
)
Measure = Literal["map", "image_auroc"]


@dataclass(frozen=True)
class EvaluatedModel:
    """A model that was evaluated.

    Attributes:
        path: Its artefact.
        evaluation: The result.
        report: As `training.evaluate --json` prints it.
    """

    path: Path
    evaluation: Evaluation
    report: dict[str, Any]

    def figure(self, measure: Measure) -> tuple[float, Floats] | None:
        """Return a figure and its resamples [resamples]; None if it is not defined, or does not tell all of the model.

        What a model finds beside its classes is in no mAP.
        """
        if measure == "image_auroc":
            ranked = self.evaluation.figures["image_auroc"]
            return None if ranked is None else (ranked.value, ranked.samples)
        boxes = self.evaluation.boxes
        if boxes is None or not boxes.has_objects or self.evaluation.anomalies is not None:
            return None
        return boxes.details.scores.map, mean_over_classes(boxes.precision)


@dataclass(frozen=True)
class FailedModel:
    """A model that could not be evaluated, and why."""

    path: Path
    reason: str


def measure_of(models: Sequence[EvaluatedModel]) -> Measure | None:
    """Return by what the models are compared.

    mAP if all of them are detectors; else image AUROC, which every kind has. None if these images give neither.
    """
    for measure in get_args(Measure):
        if all(model.figure(measure) is not None for model in models):
            return cast(Measure, measure)
    return None


def evaluate_all(
    paths: Sequence[Path], tests: Selection, rates: Rates
) -> tuple[list[EvaluatedModel], list[FailedModel]]:
    """Evaluate each model on the same images.

    Args:
        paths: The artefacts.
        tests: The images.
        rates: What the operating points are for.

    Returns:
        The models that were evaluated, the best first, and those whose artefact cannot be used.

    Raises:
        TrainingError: An image cannot be read, or a rate is out of range: no model can be evaluated.
    """
    models: list[EvaluatedModel] = []
    failed: list[FailedModel] = []
    for number, path in enumerate(paths, 1):
        try:
            evaluation, report = evaluate_artefact(path, tests, rates)
        except Stopped as stop:
            stop.done = f"{stop.done}, model {number} of {len(paths)}".lstrip(", ")
            raise
        except ArtefactError as error:
            failed.append(FailedModel(path, str(error)))
        else:
            models.append(EvaluatedModel(path, evaluation, report))
            # The others get the same images: those that this one could read.
            unreadable = evaluation.left_out.unreadable
            tests = replace(tests, images=evaluation.dataset, unreadable=unreadable)
    measure = measure_of(models)
    return sorted(models, key=lambda model: -_value(model, measure)), failed


def _value(model: EvaluatedModel, measure: Measure | None) -> float:
    figure = measure and model.figure(measure)
    return figure[0] if figure else 0.0


def difference(best: EvaluatedModel, other: EvaluatedModel, measure: Measure | None) -> dict[str, Any]:
    """Return by how much `best` leads `other`, with a paired bootstrap interval, and a verdict in words.

    Paired: both are resampled to the same images each time. Hard images then weigh on both alike, and the interval is
    that of the difference itself.

    Args:
        best: The better one.
        other: Another one, or the same.
        measure: The figure; None if there is none to compare by.

    Returns:
        The lead under the name of the figure, `interval`, and `verdict`. The first two are None without a figure.
    """
    first, second = (measure and model.figure(measure) for model in (best, other))
    if not measure or not first or not second:
        return {"map": None, "interval": None, "verdict": "these images give no figure to compare by"}
    lead = first[0] - second[0]
    low, high = interval(lead, first[1] - second[1])
    if best is other:
        verdict = "the best"
    elif low > 0:
        verdict = f"the best is better by {lead:.3f} [{low:.3f}, {high:.3f}]"
    else:
        verdict = "no difference shown"
    return {measure: lead, "interval": [low, high], "verdict": verdict}


def comparison_report(
    models: Sequence[EvaluatedModel], failed: Sequence[FailedModel], tests: Selection, data: Path | str
) -> dict[str, Any]:
    """Return the comparison for JSON.

    Args:
        models: The best first.
        failed: Models that could not be evaluated.
        tests: The images.
        data: Where the data set is.
    """
    measure = measure_of(models)
    rows = [_model_report(model, models[0], measure) for model in models]
    prices = price_list()
    return {
        "dataset": {"path": str(data), "snapshot": tests.snapshot, "images": tests.total},
        "split": tests.split,
        "images": len(models[0].evaluation.dataset.samples),
        # What a model does not know is among its warnings.
        "left_out": replace(models[0].evaluation.left_out, unknown={}).document(),
        "labels": list(tests.images.labels),
        "measure": measure,
        "models": rows,
        "seeds": rounded(seed_statistics([model.evaluation.card for model in models], rows)),
        "failed": [{"path": str(model.path), "error": model.reason} for model in failed],
        "prices": {name: prices[name] for name in ("currency", "region", "per", "date", "source")},
    }


def _model_report(model: EvaluatedModel, best: EvaluatedModel, measure: Measure | None) -> dict[str, Any]:
    card = model.evaluation.card
    return {
        "path": str(model.path),
        **model.report["model"],
        "description": model.report["model"]["kind"],
        "input_size": card.input_size,
        "seed": card.hyperparameters.get("seed"),
        **{name: model.report[name] for name in _KEPT},
        "unknown_classes": model.evaluation.unknown,
        "trained_on_this_dataset": model.report["trained_on_this_dataset"],
        "training": rounded(asdict(training_cost(card.metrics))),
        "difference": rounded(difference(best, model, measure)),
    }

"""Which of several models is better, by how much, and how surely: all are evaluated on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from training.evaluation.bootstrap import interval, mean_over_classes
from training.evaluation.cost import price_list, training_cost
from training.evaluation.metrics import rounded
from training.evaluation.result import Evaluation
from training.evaluation.runner import Selection, evaluate_artefact
from training.evaluation.seeds import seed_statistics
from training.job.stopping import Stopped
from training.model.artefact import ArtefactError

# What the comparison takes over from each model's own report.
_KEPT = ("map", "map50", "map75", "per_class", "confidence", "latency", "model_bytes", "verdicts", "warnings")


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

    @property
    def map(self) -> float:
        """The mAP[.5:.95]."""
        return self.evaluation.details.scores.map


@dataclass(frozen=True)
class FailedModel:
    """A model that could not be evaluated, and why."""

    path: Path
    reason: str


def evaluate_all(
    paths: Sequence[Path], tests: Selection, escape_rate: float
) -> tuple[list[EvaluatedModel], list[FailedModel]]:
    """Evaluate each model on the same images.

    Returns:
        The models that were evaluated, the best first, and those whose artefact cannot be used.

    Raises:
        TrainingError: An image cannot be read, or the escape rate is out of range: no model can be evaluated.
    """
    models: list[EvaluatedModel] = []
    failed: list[FailedModel] = []
    for number, path in enumerate(paths, 1):
        try:
            evaluation, report = evaluate_artefact(path, tests, escape_rate)
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
    return sorted(models, key=lambda model: -model.map), failed


def difference(best: EvaluatedModel, other: EvaluatedModel) -> dict[str, Any]:
    """Return by how much mAP `best` leads `other`, with a paired bootstrap interval, and a verdict in words.

    Paired: both are resampled to the same images each time. Hard images then weigh on both alike, and the interval is
    that of the difference itself.
    """
    lead = best.map - other.map
    samples = mean_over_classes(best.evaluation.precision) - mean_over_classes(other.evaluation.precision)
    low, high = interval(lead, samples)
    if best is other:
        verdict = "the best"
    elif low > 0:
        verdict = f"the best is better by {lead:.3f} [{low:.3f}, {high:.3f}]"
    else:
        verdict = "no difference shown"
    return {"map": lead, "interval": [low, high], "verdict": verdict}


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
    rows = [_model_report(model, models[0]) for model in models]
    prices = price_list()
    return {
        "dataset": {"path": str(data), "snapshot": tests.snapshot, "images": tests.total},
        "split": tests.split,
        "images": len(models[0].evaluation.dataset.samples),
        # What a model does not know is among its warnings.
        "left_out": replace(models[0].evaluation.left_out, unknown={}).document(),
        "labels": list(tests.images.labels),
        "models": rows,
        "seeds": rounded(seed_statistics([model.evaluation.card for model in models], rows)),
        "failed": [{"path": str(model.path), "error": model.reason} for model in failed],
        "prices": {name: prices[name] for name in ("currency", "region", "per", "date", "source")},
    }


def _model_report(model: EvaluatedModel, best: EvaluatedModel) -> dict[str, Any]:
    card = model.evaluation.card
    return {
        "path": str(model.path),
        **model.report["model"],
        "input_size": card.input_size,
        "seed": card.hyperparameters.get("seed"),
        **{name: model.report[name] for name in _KEPT},
        "unknown_classes": model.evaluation.unknown,
        "trained_on_this_dataset": model.report["trained_on_this_dataset"],
        "training": rounded(asdict(training_cost(card.metrics))),
        "difference": rounded(difference(best, model)),
    }

"""What the evaluations say about model versions, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import TypedDict

from retraining.documents import Documents
from retraining.errors import BrokenReportError
from retraining.registry import Version

# The last two are of whole images: how well the scores of an anomaly model, or of any other, separate them.
_METRICS = ("map", "map50", "map75", "image_auroc", "caught_at_zero_overkill")
_COUNTS = ("images", "good_images", "defective_images")


class Figures(TypedDict):
    """The figures of a version.

    Attributes:
        metrics: mAP and image AUROC with their intervals, escape and overkill rate, latency, number of test images.
        per_class: AP, number of objects and operating points of each class.
        model_version: The version as the model's answers and the inspections have it.
    """

    metrics: dict[str, Any]
    per_class: dict[str, Any]
    model_version: str | None


def evaluation_of(documents: Documents, version: Version) -> dict[str, Any] | None:
    """Return the evaluation of a version; None if no run has recorded one, or if it cannot be read."""
    if version.evaluation is None:
        return None
    try:
        evaluation = documents.read(version.evaluation, "evaluation")
    except (BrokenReportError, ValueError):
        return None
    return evaluation if isinstance(evaluation, dict) else None


def figures_of(version: Version, evaluation: dict[str, Any] | None) -> Figures:
    """Return the figures of a version: of its evaluation, else what the registry has."""
    if evaluation is None:
        return {"metrics": _registered(version.metadata), "per_class": {}, "model_version": None}
    confidence, verdicts = evaluation.get("confidence") or {}, evaluation.get("verdicts") or {}
    return {
        "metrics": {
            **{name: evaluation.get(name) for name in ("kind", *_METRICS, *_COUNTS, "latency")},
            **{f"{name}_interval": confidence.get(name) for name in _METRICS},
            **{name: verdicts.get(name) for name in ("escape_rate", "overkill_rate")},
        },
        "per_class": _per_class(evaluation),
        "model_version": (evaluation.get("model") or {}).get("version"),
    }


def _registered(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the figures that a run has registered. The registry keeps texts, and `null` for what is not known."""
    figures: dict[str, Any] = {"kind": metadata["kind"]} if "kind" in metadata else {}
    for name in _METRICS:
        if metadata.get(name, "null") != "null":
            figures[name] = float(metadata[name])
    return figures


def pictures(evaluations: Sequence[dict[str, Any] | None]) -> list[dict[str, Any]]:
    """Return the golden pictures that all these evaluations contain, with each one's detections.

    Returns:
        For each picture its `uri`, its `labels` (of the defects that people have labelled), and `detections`, one list
        for each evaluation, in their order.
    """
    golden = [
        {str(image["uri"]): image for image in (evaluation or {}).get("golden") or []}
        for evaluation in evaluations
    ]
    if not golden:
        return []
    return [
        {
            "uri": uri,
            "labels": image.get("labels") or [],
            "detections": [images[uri]["detections"] for images in golden],
        }
        for uri, image in golden[0].items()
        if all(uri in images for images in golden)
    ]


def _per_class(evaluation: dict[str, Any]) -> dict[str, Any]:
    scores, points = evaluation.get("per_class") or {}, evaluation.get("operating_points") or {}
    counts = evaluation.get("objects_per_class") or {}
    return {
        label: {
            "ap": scores.get(label),
            "ap50": (evaluation.get("per_class50") or {}).get(label),
            "objects": counts.get(label),
            "operating_points": points.get(label),
        }
        for label in {**scores, **counts}
    }

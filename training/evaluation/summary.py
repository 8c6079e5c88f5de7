"""The figures of an evaluation or a comparison, short enough to read and to filter with jq.

The full documents also contain curves, resamples and detections, which take hundreds of kilobytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# First, so that the figures of a kind are seen at once; an anomaly model's are about whole images.
IMAGE_FIGURES = ("image_auroc", "caught_at_zero_overkill", "f1_max", "pixel_ap", "pro")
_FIGURES = (
    "kind",
    "model",
    "dataset",
    "split",
    "images",
    "objects",
    "good_images",
    "defective_images",
    "map",
    "map50",
    "map75",
    "per_class",
    "per_class50",
    "objects_per_class",
    "verdicts",
    "latency",
    "training",
    "trained_on_this_dataset",
    "unknown_classes",
    "warnings",
    "notes",
    "left_out",
    "seconds",
)
_ANOMALY_FIGURES = ("parts", "foreign_images", "masks")
_SURE = ("level", "map", "map50", "map75", "per_class", *IMAGE_FIGURES)


def evaluation_summary(report: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    """Return the figures of one model, under the names that they have in the full document.

    Args:
        report: The full document.
        files: What was written, by its kind; `full` is the full document.
    """
    figures = {name: report[name] for name in _FIGURES}
    of_images = {name: report[name] for name in IMAGE_FIGURES}
    anomalies = {name: report[name] for name in _ANOMALY_FIGURES if name in report}
    return {
        **({**figures, **of_images} if report["kind"] == "detector" else {**of_images, **figures}),
        **anomalies,
        "confidence": _sure(report),
        "operating_points": {
            label: {
                name: _point(points[name])
                for name in ("best_f1", "escape", "overkill", "card")
                if name in points
            }
            for label, points in report["operating_points"].items()
        },
        "files": _names(files),
    }


def comparison_summary(report: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    """Return the figures of several models; `report` and `files` as in `evaluation_summary`."""
    return {
        **report,
        "models": [{**model, "confidence": _sure(model)} for model in report["models"]],
        "files": _names(files),
    }


def _sure(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: report["confidence"][name] for name in _SURE}


def _point(point: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if point is None:
        return None
    return {name: _share(value) for name, value in point.items() if name != "score_interval"}


def _share(value: Any) -> Any:
    """A rate without its interval; anything else as it is."""
    if isinstance(value, Mapping):
        return {name: value[name] for name in ("value", "count", "of")}
    return value


def _names(files: Mapping[str, Path]) -> dict[str, str]:
    return {kind: str(path) for kind, path in files.items()}

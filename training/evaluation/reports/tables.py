"""Reports as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def evaluation_table(report: Mapping[str, Any]) -> str:
    """Return the table of one model, from what `training.evaluate --json` prints."""
    confidence = report["confidence"]
    lines = [f"{report['images']} images, part {report['split']}"]
    for name, key in (("mAP[.5:.95]", "map"), ("mAP50", "map50"), ("mAP75", "map75")):
        bounds = "" if confidence[key] is None else "  [{:.3f}, {:.3f}]".format(*confidence[key])
        lines.append(f"{name:12} {_number(report[key])}{bounds}")
    width = max(len("class"), *(len(label) for label in report["per_class"])) + 2
    lines.append(f"\n{'class':{width}}{'AP':>7}{'AP50':>7}{'best F1 at':>12}{'escape at':>12}")
    for label, value in report["per_class"].items():
        points = report["operating_points"][label]
        best, escape = (_number(points[name] and points[name]["score"]) for name in ("best_f1", "escape"))
        ap50 = _number(report["per_class50"][label])
        lines.append(f"{label:{width}}{_number(value):>7}{ap50:>7}{best:>12}{escape:>12}")
    latency = report["latency"]
    lines.append(f"\n{latency['p50_ms']} ms an image (p95 {latency['p95_ms']}), {latency['provider']}")
    return "\n".join(lines) + "\n"


def comparison_table(report: Mapping[str, Any]) -> str:
    """Return the table of several models, from what `training.compare --json` prints."""
    rows = [["model", "family", "mAP", "mAP50", "ms", "trained", "cost", ""]]
    rows += [_model_row(model) for model in report["models"]]
    widths = [max(len(row[column]) for row in rows) + 2 for column in range(len(rows[0]))]
    lines = [f"{report['images']} images, part {report['split']}"]
    lines += ["".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines += [
        f"seeds {', '.join(map(str, repeated['seeds']))} of {repeated['family']}: {_spread(repeated)}"
        for repeated in report["seeds"]
    ]
    lines += [
        f"{model['name']} {model['version']}: {warning}"
        for model in report["models"]
        for warning in model["warnings"]
    ]
    return "\n".join(lines) + "\n"


def _model_row(model: Mapping[str, Any]) -> list[str]:
    training = model["training"]
    seed = "" if model["seed"] is None else f", seed {model['seed']}"
    return [
        f"{model['name']} {model['version']}",
        f"{model['kind']}{seed}{' (tuned)' if training['tuned'] else ''}",
        _number(model["map"]),
        _number(model["map50"]),
        f"{model['latency']['p50_ms']:.1f}",
        "-" if training["seconds"] is None else f"{training['seconds'] / 60:.0f} min",
        "-" if training["cost"] is None else f"${training['cost']:.2f} est. on {training['instance']}",
        model["difference"]["verdict"],
    ]


def _spread(repeated: Mapping[str, Any]) -> str:
    metrics: Sequence[tuple[str, str]] = (("mAP", "map"), ("mAP50", "map50"))
    return ", ".join(
        f"{name} {repeated[key]['mean']:.3f} ± {repeated[key]['sd']:.3f}" for name, key in metrics
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

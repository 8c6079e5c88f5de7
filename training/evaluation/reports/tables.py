"""Reports as tables for a terminal of 80 columns: figures are whole, long names are cut in the middle."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from contract.scores import ANOMALY
from contract.text import plain
from training.evaluation.wording import (
    FIGURE_NAMES,
    NO_DEFECTIVE,
    NO_GOOD,
    cost,
    counts,
    point_warning,
    spread,
)

WIDTH = 80
_INDENT = "   "


def evaluation_table(report: Mapping[str, Any]) -> str:
    """Return the table of one model, from the full document of an evaluation."""
    latency = report["latency"]
    lines = [
        f"{report['images']} images, {report['good_images']} of them good products; part {report['split']}",
        *_left_out(report),
        *_metrics(report),
        "",
        "Rules made of these operating points would decide:",
        *_verdicts(report["verdicts"]),
        "",
        *([] if report["kind"] == "anomaly" else [*_classes(report), ""]),
        *([] if report["kind"] == "detector" else [*_anomaly_points(report), ""]),
        f"{latency['p50_ms']} ms an image (p95 {latency['p95_ms']}), {latency['provider']}",
    ]
    return "\n".join(lines) + "\n"


def _left_out(report: Mapping[str, Any]) -> list[str]:
    return [line for text in report["left_out"]["texts"] for line in _wrapped(f"left out: {text}", "")]


def _metrics(report: Mapping[str, Any]) -> list[str]:
    """The figures of the kind. What its images cannot give is left out, except the first figures of a kind."""
    kind = report["kind"]
    names = {"map": "mAP[.5:.95]", "map50": "mAP50", "map75": "mAP75"} if kind != "anomaly" else {}
    of_images = ("image_auroc", "caught_at_zero_overkill", "f1_max", "pixel_ap", "pro")
    if kind == "detector":
        names |= {"image_auroc": FIGURE_NAMES["image_auroc"]} if report["image_auroc"] is not None else {}
    else:
        always = ("image_auroc", "caught_at_zero_overkill", "f1_max")
        names |= {
            name: FIGURE_NAMES[name] for name in of_images if name in always or report[name] is not None
        }
    width = max(map(len, names.values()))
    lines = []
    for key, name in names.items():
        sure = report["confidence"][key]
        bounds = "" if sure is None else f"  [{sure[0]:.3f}, {sure[1]:.3f}]"
        lines.append(f"{name:{width}}  {_number(report[key])}{bounds}")
    return lines


def _verdicts(verdicts: Mapping[str, Any]) -> list[str]:
    rows = (
        ("escape rate (defective, but pass)", "escape_rate", NO_DEFECTIVE),
        ("overkill rate (good, but fail)", "overkill_rate", NO_GOOD),
        ("sent to review", "review_rate", ""),
    )
    lines = []
    for name, key, otherwise in rows:
        rate = verdicts[key]
        bounds = "" if rate is None else "[{:.1f} %, {:.1f} %]".format(*(100 * x for x in rate["interval"]))
        lines.append(f"  {name:34} {counts(rate, otherwise):22} {bounds}".rstrip())
    return lines


def _classes(report: Mapping[str, Any]) -> list[str]:
    """A row for each class, with the escape and the overkill rate at both of its points."""
    width = min(21, max(len(plain(label)) for label in ["class", *report["per_class"]])) + 1
    rates = f"{'score':>7}{'escape':>8}{'overkill':>9}"
    lines = [
        f"{'':{width + 14}}{'best F1 point':>24}{'escape point':>24}"[:WIDTH],
        f"{'class':{width}}{'AP':>7}{'AP50':>7}{rates}{rates}",
    ]
    warnings = []
    for label, value in report["per_class"].items():
        points = report["operating_points"][label]
        cells = "".join(_point(points[name]) for name in ("best_f1", "escape"))
        figures = f"{_number(value):>7}{_number(report['per_class50'][label]):>7}"
        lines.append(f"{cut(label, width - 1):{width}}{figures}{cells}")
        for name, title in (("best_f1", "best F1"), ("escape", "escape")):
            if points[name] and (warning := point_warning(points[name])):
                warnings.append(f"{cut(label, 21)}: its {title} point {warning}")
    return [*lines, *(line for warning in warnings for line in _wrapped(warning, ""))]


def _anomaly_points(report: Mapping[str, Any]) -> list[str]:
    """A row for each threshold of an anomaly model, with its rates."""
    points = report["operating_points"][ANOMALY]
    lines = [f"{'anomaly threshold':20}{'score':>8}{'escape':>10}{'overkill':>10}"]
    for name, title in (
        ("card", "the model's own"),
        ("best_f1", "best F1"),
        ("escape", "escape"),
        ("overkill", "overkill"),
    ):
        if point := points[name]:
            rates = f"{_share(point['escape_rate']):>10}{_share(point['overkill_rate']):>10}"
            lines.append(f"{title:20}{point['score']:>8.4f}{rates}")
            if warning := point_warning(point):
                lines += _wrapped(warning)
    return lines


def _point(point: Mapping[str, Any] | None) -> str:
    if point is None:
        return f"{'-':>7}{'-':>8}{'-':>9}"
    return f"{point['score']:>7.3f}{_share(point['escape_rate']):>8}{_share(point['overkill_rate']):>9}"


def comparison_table(report: Mapping[str, Any]) -> str:
    """Return the table of several models, from the full document of a comparison."""
    by_images = report["measure"] == "image_auroc" or any(
        model["kind"] != "detector" for model in report["models"]
    )
    columns = (
        {"image_auroc": "AUROC", "caught_at_zero_overkill": "caught"}
        if by_images
        else {"map": "mAP", "map50": "mAP50"}
    )
    titles = "".join(f"{title:>7}" for title in columns.values())
    figures = f"{titles}{'ms':>8}{'escape':>8}{'overkill':>10}"
    width = WIDTH - len(figures)
    lines = [
        f"{report['images']} images, part {report['split']}",
        *_left_out(report),
        "",
        f"{'model':{width}}{figures}",
    ]
    for model in report["models"]:
        verdicts = model["verdicts"]
        name = f"{cut(model['name'], width - len(model['version']) - 2)} {model['version']}"
        numbers = "".join(f"{_number(model[column]):>7}" for column in columns)
        lines.append(
            f"{name:{width}}{numbers}"
            f"{model['latency']['p50_ms']:>8.1f}{_share(verdicts['escape_rate']):>8}"
            f"{_share(verdicts['overkill_rate']):>10}"
        )
        lines += [line for text in _details(model) for line in _wrapped(text)]
    for repeated in report["seeds"]:
        seeds = ", ".join(map(str, repeated["seeds"]))
        lines += _wrapped(f"seeds {seeds} of {repeated['family']}: {spread(repeated)}", "")
    return "\n".join(lines) + "\n"


def _details(model: Mapping[str, Any]) -> list[str]:
    training, verdicts = model["training"], model["verdicts"]
    seed = "" if model["seed"] is None else f", seed {model['seed']}"
    took = "" if training["seconds"] is None else f"; trained for {training['seconds'] / 60:.0f} min"
    price = f"; {cost(training)}" if cost(training) else ""
    return [
        f"{model['description']}{seed}{' (tuned)' if training['tuned'] else ''}{took}{price}",
        f"escape {counts(verdicts['escape_rate'], NO_DEFECTIVE)}, "
        f"overkill {counts(verdicts['overkill_rate'], NO_GOOD)}",
        model["difference"]["verdict"],
        *model["warnings"],
    ]


def cut(text: str, width: int) -> str:
    """Return a name in at most `width` columns: the middle is left out, since names often differ at their ends.

    >>> cut("line-2-camera-left-seed-3", 15), cut("short", 15)
    ('line-2-…-seed-3', 'short')
    """
    text = plain(text)
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def _wrapped(text: str, indent: str = _INDENT) -> list[str]:
    return textwrap.wrap(plain(text), WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")


def _share(rate: Mapping[str, Any] | None) -> str:
    return "-" if rate is None else f"{rate['value'] * 100:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

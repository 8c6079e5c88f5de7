"""HTML pages, each in one file that works without a network: no script, no font, no web address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from contract.text import plain
from training.datasets import Dataset, Sample
from training.evaluation import outcomes
from training.evaluation.boxes import BoxResult
from training.evaluation.operating_points import SWEEP
from training.evaluation.reports import anomalies, pictures, plots
from training.evaluation.reports.pictures import Drawing
from training.evaluation.result import Evaluation
from training.evaluation.wording import cost, point_warning, spread

MAX_PICTURES, MAX_ROWS = 24, 12


@dataclass(frozen=True, slots=True)
class Picture:
    """A sample with its pixels, and its boxes once for each model.

    Attributes:
        sample: The image, with its labels.
        jpeg: Its pixels, as a data URI.
        line: The height of a label's letters, in pixels of the original.
        drawings: The boxes of each model.
    """

    sample: Sample
    jpeg: str
    line: float
    drawings: list[Drawing]


def evaluation_page(evaluation: Evaluation, report: Mapping[str, Any], facts: Mapping[str, str]) -> str:
    """Return the page of one model.

    Args:
        evaluation: The result.
        report: What `--json` prints.
        facts: Names and values to show at the end.

    Raises:
        DatasetError: An image cannot be read.
    """
    dataset, boxes, judged = evaluation.dataset, evaluation.boxes, evaluation.anomalies
    return render(
        "anomalies.html" if boxes is None else "evaluation.html",
        report=report,
        facts=facts,
        charts={} if boxes is None else {label: _charts(report, label) for label in dataset.labels},
        pictures=[]
        if boxes is None
        else [
            picture(dataset, index, [_boxes_drawing(dataset, boxes, index)])
            for index in outcomes.worst(boxes.outcomes, MAX_PICTURES)
        ],
        anomaly=None
        if judged is None
        else {
            "charts": anomalies.charts(judged),
            "rows": [
                (
                    title,
                    [
                        picture(dataset, index, [anomalies.drawing(dataset, judged, index)])
                        for index in indices
                    ],
                )
                for title, indices in (
                    ("Defective images with the lowest scores", anomalies.hardest(judged, good=False)),
                    ("Good images with the highest scores", anomalies.hardest(judged, good=True)),
                )
            ],
        },
    )


def _boxes_drawing(dataset: Dataset, boxes: BoxResult, index: int) -> Drawing:
    return pictures.drawing(
        dataset.samples[index], boxes.detections[index], boxes.outcomes[index], dataset.labels
    )


def _drawing(evaluation: Evaluation, index: int) -> Drawing:
    """What all models of an artefact say about an image."""
    dataset, boxes, judged = evaluation.dataset, evaluation.boxes, evaluation.anomalies
    found = None if boxes is None else _boxes_drawing(dataset, boxes, index)
    heat = None if judged is None else anomalies.drawing(dataset, judged, index)
    if found is None or heat is None:
        return found or heat or Drawing([], [])
    judged_captions = [f"anomaly model: {caption}" for caption in heat.captions]
    return Drawing(found.shapes, [*found.captions, *judged_captions], heat.jpeg)


def comparison_page(
    evaluations: Sequence[Evaluation], report: Mapping[str, Any], facts: Mapping[str, str]
) -> str:
    """Return the page that compares several models.

    Args:
        evaluations: In the order of `report`'s models, the best first.
        report: What `--json` prints.
        facts: Names and values to show at the end.

    Raises:
        DatasetError: An image cannot be read.
    """
    dataset = evaluations[0].dataset
    chosen = disagreements(evaluations, MAX_ROWS)
    return render(
        "comparison.html",
        report=report,
        facts=facts,
        letters=[_letter(index) for index in range(len(evaluations))],
        has=_has(report),
        pictures=[
            picture(
                dataset,
                index,
                [
                    pictures.truth(dataset.samples[index]),
                    *(_drawing(evaluation, index) for evaluation in evaluations),
                ],
            )
            for index in chosen
        ],
    )


def _has(report: Mapping[str, Any]) -> dict[str, bool]:
    """What to show: precision if a model is a detector, AUROC if one is not, or if it is what decides."""
    models = report["models"]
    return {
        "boxes": any(model["kind"] != "anomaly" for model in models),
        "images": report["measure"] == "image_auroc" or any(model["kind"] != "detector" for model in models),
        "pixels": any(model["pro"] is not None for model in models),
    }


def disagreements(evaluations: Sequence[Evaluation], limit: int) -> list[int]:
    """Return at most `limit` images on which one model is right and another is wrong, the widest gap first.

    Detectors are compared box by box. An anomaly model says something about the image as a whole only.
    """
    boxes = [evaluation.boxes for evaluation in evaluations if evaluation.anomalies is None]
    if len(boxes) == len(evaluations):
        badness = [[outcomes.badness(image) for image in each.outcomes] for each in boxes if each]
    else:
        badness = [evaluation.wrong.astype(float).tolist() for evaluation in evaluations]
    gaps = [max(image) - min(image) for image in zip(*badness, strict=True)]
    order = sorted(range(len(gaps)), key=lambda index: -gaps[index])
    return [index for index in order if gaps[index] > 0][:limit]


def _letter(index: int) -> str:
    """A short name for a model: A .. Z, then AA .. like a spreadsheet's columns."""
    first, last = divmod(index, 26)
    return (_letter(first - 1) if first else "") + chr(ord("A") + last)


def picture(dataset: Dataset, index: int, drawings: list[Drawing]) -> Picture:
    """Return a sample of the data set for a page.

    Raises:
        DatasetError: The image cannot be read.
    """
    sample = dataset.samples[index]
    return Picture(sample, pictures.jpeg(dataset, sample), pictures.text_size(sample), drawings)


def _charts(report: Mapping[str, Any], label: str) -> tuple[Markup, Markup]:
    """The precision-recall curve and the rates by threshold of one class; empty if it has no object."""
    curve, points = report["curves"][label], report["operating_points"][label]
    if curve is None:
        return Markup(), Markup()
    best, escape = points["best_f1"], points["escape"]
    marks = [
        (point["recall"], point["precision"]) if point and point["precision"] is not None else None
        for point in (best, escape)
    ]
    lines = [point["score"] if point else None for point in (best, escape)]
    shares = report["sweep"][label]
    # matplotlib draws them from numbers only; they contain no text of the data set.
    return (
        Markup(plots.precision_recall(curve, *marks)),  # noqa: S704
        Markup(plots.sweep(SWEEP.tolist(), shares, *lines)),  # noqa: S704
    )


def render(template: str, **values: object) -> str:
    """Fill a template. Every text is escaped, and has no control characters."""
    return _environment().get_template(template).render(style=_style(), **values)


# It keeps the compiled templates.
@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("training.evaluation.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_without_controls,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "figure": figure, "size": size, "duration": duration}
    environment.globals |= {"point_warning": point_warning, "cost_of": cost, "spread": spread}
    return environment


def _without_controls(value: object) -> object:
    # Markup is what this package made itself: plots, the style sheet, and the results of macros.
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def percent(value: float | None) -> str:
    """Format a share.

    >>> percent(0.0213), percent(None)
    ('2.1 %', '–')
    """
    return "–" if value is None else f"{value * 100:.1f} %"


def figure(value: float | None, digits: int = 3) -> str:
    """Format a number.

    >>> figure(0.28049), figure(None)
    ('0.280', '–')
    """
    return "–" if value is None else f"{value:.{digits}f}"


def size(count: int) -> str:
    """Format a file size.

    >>> size(9_400_000)
    '9.4 MB'
    """
    return f"{count / 1e6:.1f} MB"


def duration(seconds: float | None) -> str:
    """Format a duration.

    >>> duration(45), duration(754), duration(7860), duration(None)
    ('45 s', '12 min 34 s', '2 h 11 min', '–')
    """
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _style() -> Markup:
    text = resources.files("training.evaluation.reports").joinpath("templates/style.css").read_text("utf-8")
    return Markup(text)  # noqa: S704 - a file of this package

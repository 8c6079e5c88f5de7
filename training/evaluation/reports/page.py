"""The pages: one HTML file each that needs nothing beside it, no script, no font, no address of the web."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from training.datasets import Dataset, Sample
from training.evaluation import outcomes
from training.evaluation.assessment import Evaluation
from training.evaluation.operating_points import SWEEP
from training.evaluation.reports import pictures, plots
from training.evaluation.reports.pictures import Drawing
from training.job.errors import TrainingError

MOST_PICTURES, MOST_ROWS = 24, 12


@dataclass(frozen=True, slots=True)
class Picture:
    """A sample with its pixels, and its boxes once for each model that looked at it.

    line: the height of a label's letters, in pixels of the original.
    """

    sample: Sample
    jpeg: str
    line: float
    drawings: list[Drawing]


def evaluation_page(evaluation: Evaluation, report: Mapping[str, Any], facts: Mapping[str, str]) -> str:
    """The page of one model. `report`: what `--json` prints; `facts`: name and value, shown at the end."""
    dataset = evaluation.dataset
    return render(
        "evaluation.html",
        report=report,
        facts=facts,
        charts={label: _charts(report, label) for label in dataset.labels},
        pictures=[
            picture(
                dataset,
                index,
                [
                    pictures.drawing(
                        dataset.samples[index],
                        evaluation.placed[index],
                        evaluation.outcomes[index],
                        dataset.labels,
                    )
                ],
            )
            for index in outcomes.worst(evaluation.outcomes, MOST_PICTURES)
        ],
    )


def comparison_page(
    evaluations: Sequence[Evaluation], report: Mapping[str, Any], facts: Mapping[str, str]
) -> str:
    """The page of several models on the same images, in the order of `report`'s models, the best first."""
    dataset = evaluations[0].dataset
    chosen = disagreements(evaluations, MOST_ROWS)
    return render(
        "comparison.html",
        report=report,
        facts=facts,
        letters=[_letter(index) for index in range(len(evaluations))],
        pictures=[
            picture(
                dataset,
                index,
                [
                    pictures.truth(dataset.samples[index]),
                    *(
                        pictures.drawing(
                            dataset.samples[index], each.placed[index], each.outcomes[index], dataset.labels
                        )
                        for each in evaluations
                    ),
                ],
            )
            for index in chosen
        ],
    )


def disagreements(evaluations: Sequence[Evaluation], most: int) -> list[int]:
    """The images on which one model is right where another is wrong, the widest gap first."""
    bad = [[outcomes.badness(image) for image in each.outcomes] for each in evaluations]
    gaps = [max(image) - min(image) for image in zip(*bad, strict=True)]
    order = sorted(range(len(gaps)), key=lambda index: -gaps[index])
    return [index for index in order if gaps[index] > 0][:most]


def _letter(index: int) -> str:
    """A short name for a model: A .. Z, then AA .. as a spreadsheet's columns."""
    first, last = divmod(index, 26)
    return (_letter(first - 1) if first else "") + chr(ord("A") + last)


def picture(dataset: Dataset, index: int, drawings: list[Drawing]) -> Picture:
    """A sample of the data set for a page. Raises DatasetError."""
    sample = dataset.samples[index]
    return Picture(sample, pictures.jpeg(dataset, sample), pictures.text_size(sample), drawings)


def _charts(report: Mapping[str, Any], label: str) -> tuple[Markup, Markup]:
    """The precision-recall curve and the sweep of thresholds of one class; empty where it has no object."""
    curve, points = report["curves"][label], report["operating_points"][label]
    if curve is None:
        return Markup(), Markup()
    best, escape = points["best_f1"], points["escape"]
    marks = [
        (p["recall"], p["precision"]) if p and p["precision"] is not None else None for p in (best, escape)
    ]
    lines = [p["score"] if p else None for p in (best, escape)]
    shares = report["sweep"][label]
    # Drawn by matplotlib from numbers alone; no text of the data set is in them.
    return (
        Markup(plots.precision_recall(curve, *marks)),  # noqa: S704
        Markup(plots.sweep(SWEEP.tolist(), shares, *lines)),  # noqa: S704
    )


def render(template: str, **values: object) -> str:
    """Fills a template; every text is escaped. Raises jinja2's errors for a mistake in the template."""
    environment = Environment(
        loader=PackageLoader("training.evaluation.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "figure": figure, "size": size, "duration": duration}
    return environment.get_template(template).render(style=_style(), **values)


def write(path: Path, text: str) -> None:
    """Writes the file whole or not at all. Raises TrainingError, naming it."""
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise TrainingError(f"{path} cannot be written: {error.strerror}") from error


def percent(value: float | None) -> str:
    """
    >>> percent(0.0213), percent(None)
    ('2.1 %', '–')
    """
    return "–" if value is None else f"{value * 100:.1f} %"


def figure(value: float | None, digits: int = 3) -> str:
    """
    >>> figure(0.28049), figure(None)
    ('0.280', '–')
    """
    return "–" if value is None else f"{value:.{digits}f}"


def size(count: int) -> str:
    """
    >>> size(9_400_000)
    '9.4 MB'
    """
    return f"{count / 1e6:.1f} MB"


def duration(seconds: float | None) -> str:
    """
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

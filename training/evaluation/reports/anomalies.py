"""What a page shows of an anomaly model: how the scores are distributed, and the images on which it was most wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from training.datasets import Dataset
from training.evaluation.anomalies.result import AnomalyResult
from training.evaluation.operating_points import SWEEP, sweep
from training.evaluation.reports import pictures, plots
from training.evaluation.reports.pictures import Drawing, Shape
from training.model.heat_map import heat_map
from training.model.pixels import to_original

MAX_PICTURES = 9
POINTS = ("card", "best_f1", "escape", "overkill")


@dataclass(frozen=True, slots=True)
class AnomalyCharts:
    """The charts of an anomaly model.

    Attributes:
        histogram: Of the scores of good and of defective images.
        sweep: Escape and overkill rate by threshold.
    """

    histogram: Markup
    sweep: Markup


def charts(result: AnomalyResult) -> AnomalyCharts:
    """Return the charts of an anomaly model. matplotlib draws them from numbers only; they contain no text."""
    scale = result.card.anomaly
    assert scale is not None  # noqa: S101 - it is the card of an anomaly model
    odds = np.array([(item.distance - scale.threshold) / scale.spread for item in result.judgements])
    good = result.images.good
    scores = {name: _score(result.points, name) for name in POINTS}
    histogram = plots.histogram(
        odds[good].tolist(), odds[~good].tolist(), [(scores[name], name) for name in POINTS]
    )
    rates = plots.sweep(
        SWEEP.tolist(), sweep(result.images, 0), scores["best_f1"], scores["escape"], scores["card"]
    )
    return AnomalyCharts(Markup(histogram), Markup(rates))  # noqa: S704


def _score(points: Mapping[str, Any], name: str) -> float | None:
    return points[name]["score"] if points[name] else None


def hardest(result: AnomalyResult, *, good: bool) -> list[int]:
    """Return the good images with the highest scores, or the defective ones with the lowest, the worst first."""
    indices = np.flatnonzero(result.images.good == good)
    distances = np.array([item.distance for item in result.judgements])[indices]
    order = np.argsort(-distances if good else distances, kind="stable")
    return [int(index) for index in indices[order][:MAX_PICTURES]]


def drawing(dataset: Dataset, result: AnomalyResult, index: int) -> Drawing:
    """Return what an anomaly model says about an image: its heat map, its regions, and whether it is right.

    Raises:
        DatasetError: The image cannot be read.
    """
    sample, judgement = dataset.samples[index], result.judgements[index]
    scale = result.card.anomaly
    assert scale is not None  # noqa: S101 - it is the card of an anomaly model
    labelled = [pictures.shape(sample, item.box, "truth", item.label, above=True) for item in sample.objects]
    jpeg = pictures.heated(dataset, sample, heat_map(judgement.map, scale))
    return Drawing([*labelled, *_regions(dataset, result, index)], [caption(result, index)], jpeg)


def _regions(dataset: Dataset, result: AnomalyResult, index: int) -> list[Shape]:
    sample, found = dataset.samples[index], result.served[index]
    css = "alarm" if result.images.good[index] else "right"
    shapes = []
    for place, score in zip(to_original(found.boxes, sample.width, sample.height), found.scores, strict=True):
        if score >= result.threshold:
            x1, y1, x2, y2 = (float(edge) for edge in place)
            shapes.append(pictures.shape(sample, (x1, y1, x2, y2), css, f"{score:.2f}", above=False))
    return shapes


def caption(result: AnomalyResult, index: int) -> str:
    """Return in words what became of an image at the model's own threshold."""
    judgement, good = result.judgements[index], bool(result.images.good[index])
    if judgement.foreign is not None:
        return f"taken for {judgement.foreign.partition(':')[0]}: review (distance {judgement.distance:.1f})"
    alarm = judgement.score >= result.threshold
    words = ("passes", "false alarm") if good else ("missed", "caught")
    return f"{words[alarm]}: score {judgement.score:.4f}"

"""How good a detector is: pycocotools' average precision and recall, and the best operating point of each class.

pycocotools is the reference: it matches detections with objects, and every figure here comes from its matches.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from training.datasets import Dataset
from training.datasets.formats.coco import annotation, annotations_of, categories_of
from training.model.decoding import Detections
from training.model.pixels import to_original

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

SIZES = ("small", "medium", "large")  # COCO's: below 32 x 32, below 96 x 96, larger; pixels of the original
_GRID = 10_000  # thresholds are given with four digits


@dataclass(frozen=True, slots=True)
class Scores:
    """What pycocotools says. A class or a size without any object is None, and counts in no mean.

    map, map50, map75: mean AP over the classes, for IoU .5:.95, .5 and .75; 0 when there is no object at all.
    per_class, per_class50: AP[.5:.95] and AP50 of each class.
    per_size: AP[.5:.95] and recall (at 100 detections) of small, medium and large objects, and how many.
    recall: AR[.5:.95] with at most 1, 10 and 100 detections an image and class.
    operating_points: per class the score with the best F1 at IoU 0.5, its F1, precision and recall.
    """

    map: float
    map50: float
    map75: float
    per_class: dict[str, float | None]
    per_class50: dict[str, float | None]
    per_size: dict[str, dict[str, float | int | None]]
    recall: dict[str, float | None]
    images: int
    objects: int
    operating_points: dict[str, dict[str, float]]

    def summary(self) -> dict[str, Any]:
        """What is reported: everything but the operating points, rounded."""
        document: dict[str, Any] = rounded(asdict(self))
        del document["operating_points"]
        return document


@dataclass(frozen=True, slots=True)
class Matches:
    """The detections of one class over all images, best score first, as pycocotools matched them.

    images: [D] the index of each detection's image; scores: [D]; hits: [10, D] whether it is matched with an
    object, per IoU threshold .5:.95; objects: [N] how many objects of the class each image holds.
    """

    label: str
    images: Counts
    scores: Floats
    hits: NDArray[np.bool_]
    objects: Counts


@dataclass(frozen=True, slots=True)
class Placed:
    """Detections of one image in its data set's terms.

    boxes: [n, 4] (x1, y1, x2, y2) in pixels of the upright original; scores: [n], best first; classes: [n]
    from 0, into the data set's labels.
    """

    boxes: NDArray[np.float32]
    scores: Floats
    classes: Counts


@dataclass(frozen=True, slots=True)
class Judged:
    """The scores, what they were made of, and per class the precision at recall 0, 0.01 .. 1 for IoU 0.5."""

    scores: Scores
    matches: tuple[Matches, ...]
    curves: dict[str, Floats | None]


def score(dataset: Dataset, found: Sequence[Detections], labels: Sequence[str]) -> Scores:
    """Compares the detections of each sample of `dataset`, in its order, with its objects.

    labels: the model's; they meet the dataset's by name. A class that the model does not know scores 0.
    """
    return judge(dataset, place(dataset, found, labels)).scores


def place(dataset: Dataset, found: Sequence[Detections], labels: Sequence[str]) -> list[Placed]:
    """Detections of a model with `labels`, one per sample; those of classes unknown to `dataset` are left out."""
    known = {label: column for column, label in enumerate(dataset.labels)}
    columns = np.array([known.get(label, -1) for label in labels], np.int64)
    placed = []
    for sample, each in zip(dataset.samples, found, strict=True):
        classes = columns[each.classes]
        kept = classes >= 0
        boxes = to_original(each.boxes[kept], sample.width, sample.height)
        placed.append(Placed(boxes, each.scores[kept].astype(np.float64), classes[kept]))
    return placed


def judge(dataset: Dataset, placed: Sequence[Placed]) -> Judged:
    """As `score`, with everything that reports are made of."""
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it goes
        coco = COCOeval(_truth(dataset), _results(dataset, placed), "bbox")
        coco.evaluate()
        coco.accumulate()
    # precision: [IoU thresholds, recall levels, classes, areas, detections an image]; -1 where undefined
    precision, recall = coco.eval["precision"], coco.eval["recall"]
    columns = {label: column for column, label in enumerate(dataset.labels)}
    matches = tuple(_matches(coco, column, label) for label, column in columns.items())
    curves = {label: precision[0, :, column, 0, -1] for label, column in columns.items()}
    points = {each.label: best_point(each) for each in matches}
    sizes = [_size(sample.objects) for sample in dataset.samples]
    whole = precision[:, :, :, 0, -1]
    scores = Scores(
        map=_mean(whole) or 0.0,
        map50=_mean(whole[0]) or 0.0,
        map75=_mean(whole[5]) or 0.0,
        per_class={label: _mean(whole[:, :, column]) for label, column in columns.items()},
        per_class50={label: _mean(whole[0, :, column]) for label, column in columns.items()},
        per_size={
            size: {
                "map": _mean(precision[:, :, :, area, -1]),
                "recall": _mean(recall[:, :, area, -1]),
                "objects": sum(each.count(size) for each in sizes),
            }
            for area, size in enumerate(SIZES, 1)
        },
        recall={f"ar{most}": _mean(recall[:, :, 0, m]) for m, most in enumerate(coco.params.maxDets)},
        images=len(dataset.samples),
        objects=sum(len(sample.objects) for sample in dataset.samples),
        operating_points={label: point for label, point in points.items() if point},
    )
    return Judged(scores, matches, {k: None if v[0] < 0 else v for k, v in curves.items()})


def best_point(matches: Matches) -> dict[str, float] | None:
    """The score with the best F1 at IoU 0.5, and what "at least this score" gives; None without any hit."""
    thresholds, last = steps(matches)
    hits = np.cumsum(matches.hits[0])[last]
    if not hits.size or not hits[-1]:
        return None
    objects = int(matches.objects.sum())
    f1 = 2 * hits / (last + 1 + objects)
    best = int(f1.argmax())
    point = {"score": thresholds[best], "f1": f1[best], "precision": hits[best] / (last[best] + 1)}
    return {name: round(float(value), 4) for name, value in {**point, "recall": hits[best] / objects}.items()}


def steps(matches: Matches) -> tuple[Floats, Counts]:
    """The thresholds that tell detections apart, falling, and the index of the last detection that each lets in.

    Thresholds are rounded down to four digits, so that the detection behind one still reaches it.
    """
    thresholds = round_down(matches.scores)
    last = np.flatnonzero(np.append(thresholds[1:] != thresholds[:-1], [True] * bool(thresholds.size)))
    return thresholds[last], last


def round_down(scores: Floats) -> Floats:
    """Four digits, never above the score itself."""
    down: Floats = np.floor(scores * _GRID) / _GRID
    return down


def rounded(value: Any) -> Any:
    """Every float within `value` with four digits, for JSON."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return round(float(value), 4) if isinstance(value, float | np.floating) else value


def _truth(dataset: Dataset) -> COCO:
    return _coco(dataset, annotations_of((sample.objects for sample in dataset.samples), dataset.labels))


def _results(dataset: Dataset, placed: Sequence[Placed]) -> COCO:
    found = (
        (image, *row)
        for image, each in enumerate(placed, start=1)
        for row in zip(each.classes.tolist(), each.boxes.tolist(), each.scores.tolist(), strict=True)
    )
    annotations = [
        annotation(number, image, which + 1, box) | {"score": value}
        for number, (image, which, box, value) in enumerate(found, start=1)
    ]
    return _coco(dataset, annotations)


def _coco(dataset: Dataset, annotations: list[dict[str, Any]]) -> COCO:
    """pycocotools counts classes, images and annotations from 1: an id of 0 means "no match" to it."""
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": i, "width": s.width, "height": s.height} for i, s in enumerate(dataset.samples, 1)],
        "annotations": annotations,
        "categories": categories_of(dataset.labels),
    }
    coco.createIndex()
    return coco


def _matches(coco: COCOeval, column: int, label: str) -> Matches:
    """Gathers one class from evalImgs, which lists classes, areas and images, nested in this order."""
    count = len(coco.params.imgIds)
    first = column * len(coco.params.areaRng) * count
    found = [(i, each) for i, each in enumerate(coco.evalImgs[first : first + count]) if each is not None]
    objects = np.zeros(count, np.int64)
    for index, each in found:
        objects[index] = len(each["gtIds"])
    scores = np.concatenate([[], *(each["dtScores"] for _, each in found)])
    images = np.concatenate([[], *([i] * len(each["dtIds"]) for i, each in found)]).astype(np.int64)
    hits = np.concatenate(
        [np.zeros((len(coco.params.iouThrs), 0)), *(each["dtMatches"] for _, each in found)], axis=1
    )
    order = np.argsort(-scores, kind="mergesort")  # as pycocotools sorts, so that ties fall alike
    return Matches(label, images[order], scores[order], hits[:, order] > 0, objects)


def _size(objects: Sequence[Any]) -> list[str]:
    areas = [(each.box[2] - each.box[0]) * (each.box[3] - each.box[1]) for each in objects]
    return [SIZES[(area > 32**2) + (area > 96**2)] for area in areas]


def _mean(values: Floats) -> float | None:
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else None

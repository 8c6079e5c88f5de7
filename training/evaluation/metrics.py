"""Average precision and recall of a detector by pycocotools, and the best operating point of each class.

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

from training.datasets import Box, Dataset
from training.datasets.formats.coco import annotation, annotations_of, categories_of
from training.model.decoding import Detections
from training.model.pixels import to_original

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

# COCO's: below 32 x 32, below 96 x 96, larger; in pixels of the original.
SIZES = ("small", "medium", "large")
_GRID = 10_000  # thresholds have four digits
# COCO's: the most detections of a class in an image that count.
USUAL_DETECTIONS = 100


@dataclass(frozen=True, slots=True)
class Scores:
    """What pycocotools measures. A class or a size without any object is None, and counts in no mean.

    Attributes:
        map: Mean AP over the classes for IoU .5:.95; 0 if there is no object at all.
        map50: As map, for IoU .5.
        map75: As map, for IoU .75.
        per_class: AP[.5:.95] of each class.
        per_class50: AP50 of each class.
        per_size: AP[.5:.95] and recall (at the most detections) of small, medium and large objects, and their number.
        recall: AR[.5:.95] with at most 1, 10 and 100 detections per image and class, and with at most
            `most_detections`, if these are more.
        images: How many images were scored.
        objects: How many objects they contain.
        operating_points: Per class the score with the best F1 at IoU 0.5, its F1, precision and recall.
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
        """Return everything but the operating points, rounded, for reports."""
        document: dict[str, Any] = rounded(asdict(self))
        del document["operating_points"]
        return document


@dataclass(frozen=True, slots=True)
class Matches:
    """The D detections of one class in all N images, best score first, as pycocotools matched them.

    Attributes:
        label: The class.
        images: [D] the index of each detection's image.
        scores: [D].
        hits: [10, D] whether each is matched with an object, per IoU threshold .5:.95.
        objects: [N] how many objects of the class each image contains.
    """

    label: str
    images: Counts
    scores: Floats
    hits: NDArray[np.bool_]
    objects: Counts


@dataclass(frozen=True, slots=True)
class ImageDetections:
    """The n detections of one image, mapped to its data set: boxes in pixels, classes as the data set counts them.

    Attributes:
        boxes: [n, 4] (x1, y1, x2, y2) in pixels of the upright original.
        scores: [n], best first.
        classes: [n] indices into the data set's labels.
    """

    boxes: NDArray[np.float32]
    scores: Floats
    classes: Counts


@dataclass(frozen=True, slots=True)
class DetailedScores:
    """Scores, and what they were computed from.

    Attributes:
        scores: The figures.
        matches: Per class of the data set.
        curves: Per class the precision at recall 0, 0.01 .. 1 for IoU 0.5; None without any object.
    """

    scores: Scores
    matches: tuple[Matches, ...]
    curves: dict[str, Floats | None]


def score(dataset: Dataset, results: Sequence[Detections], labels: Sequence[str]) -> Scores:
    """Compare detections with the objects of a data set.

    Args:
        dataset: Its samples' objects are the truth.
        results: The detections of each sample, in the data set's order.
        labels: The model's classes, which meet the data set's by name. A class that the model does not know scores 0.
    """
    return score_in_detail(dataset, map_to_dataset(dataset, results, labels)).scores


def map_to_dataset(
    dataset: Dataset, results: Sequence[Detections], labels: Sequence[str]
) -> list[ImageDetections]:
    """Map a model's detections to a data set: boxes in pixels, classes by name.

    Args:
        dataset: Its samples give the sizes of the images.
        results: The detections of each sample, in the data set's order.
        labels: The model's classes. Detections of classes that the data set does not have are left out.
    """
    known = {label: column for column, label in enumerate(dataset.labels)}
    columns = np.array([known.get(label, -1) for label in labels], np.int64)
    mapped = []
    for sample, detections in zip(dataset.samples, results, strict=True):
        classes = columns[detections.classes]
        kept = classes >= 0
        boxes = to_original(detections.boxes[kept], sample.width, sample.height)
        mapped.append(ImageDetections(boxes, detections.scores[kept].astype(np.float64), classes[kept]))
    return mapped


def score_in_detail(dataset: Dataset, results: Sequence[ImageDetections]) -> DetailedScores:
    """Score as `score` does, and return what reports need as well.

    Args:
        dataset: Its samples' objects are the truth.
        results: The detections of each sample, in the data set's order.
    """
    coco = _run_pycocotools(dataset, results)
    columns = {label: column for column, label in enumerate(dataset.labels)}
    matches = tuple(_matches(coco, column, label) for label, column in columns.items())
    precision = coco.eval["precision"]
    curves = {label: precision[0, :, column, 0, -1] for label, column in columns.items()}
    return DetailedScores(
        _scores(coco, dataset, matches),
        matches,
        {label: None if curve[0] < 0 else curve for label, curve in curves.items()},
    )


def most_objects(dataset: Dataset) -> int:
    """Return the most objects in an image."""
    return max((len(sample.objects) for sample in dataset.samples), default=0)


def most_detections(dataset: Dataset) -> int:
    """Return the most detections in an image that count: as COCO, but enough for the image with the most objects."""
    objects = most_objects(dataset)
    # Some detections are wrong, and must not take the place of right ones.
    return USUAL_DETECTIONS if objects <= USUAL_DETECTIONS else 2 * objects


def _run_pycocotools(dataset: Dataset, results: Sequence[ImageDetections]) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        coco = COCOeval(_truth(dataset), _results(dataset, results), "bbox")
        coco.params.maxDets = sorted({*coco.params.maxDets, most_detections(dataset)})
        coco.evaluate()
        coco.accumulate()
    return coco


def _scores(coco: COCOeval, dataset: Dataset, matches: Sequence[Matches]) -> Scores:
    # precision: [IoU thresholds, recall levels, classes, areas, detections per image]; -1 where undefined.
    precision, recall = coco.eval["precision"], coco.eval["recall"]
    columns = {label: column for column, label in enumerate(dataset.labels)}
    points = {match.label: best_point(match) for match in matches}
    sizes = [_size(item.box) for sample in dataset.samples for item in sample.objects]
    whole = precision[:, :, :, 0, -1]
    return Scores(
        map=_mean(whole) or 0.0,
        map50=_mean(whole[0]) or 0.0,
        map75=_mean(whole[5]) or 0.0,
        per_class={label: _mean(whole[:, :, column]) for label, column in columns.items()},
        per_class50={label: _mean(whole[0, :, column]) for label, column in columns.items()},
        per_size={
            size: {
                "map": _mean(precision[:, :, :, area, -1]),
                "recall": _mean(recall[:, :, area, -1]),
                "objects": sizes.count(size),
            }
            for area, size in enumerate(SIZES, 1)
        },
        recall={
            f"ar{limit}": _mean(recall[:, :, 0, index]) for index, limit in enumerate(coco.params.maxDets)
        },
        images=len(dataset.samples),
        objects=sum(len(sample.objects) for sample in dataset.samples),
        operating_points={label: point for label, point in points.items() if point},
    )


def best_point(matches: Matches) -> dict[str, float] | None:
    """Return the score with the best F1 at IoU 0.5, and F1, precision and recall there; None without any hit."""
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
    """Return every threshold that makes a difference.

    Thresholds are rounded down to four digits, so that the detection behind each still reaches it.

    Returns:
        The thresholds in falling order, and the index of the last detection that reaches each.
    """
    thresholds = round_down(matches.scores)
    last = np.flatnonzero(np.append(thresholds[1:] != thresholds[:-1], [True] * bool(thresholds.size)))
    return thresholds[last], last


def round_down(scores: Floats) -> Floats:
    """Round to four digits, never above the score itself."""
    down: Floats = np.floor(scores * _GRID) / _GRID
    return down


def rounded(value: Any) -> Any:
    """Round every float within `value` to four digits, for JSON."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return round(float(value), 4) if isinstance(value, float | np.floating) else value


def _truth(dataset: Dataset) -> COCO:
    return _coco(dataset, annotations_of((sample.objects for sample in dataset.samples), dataset.labels))


def _results(dataset: Dataset, results: Sequence[ImageDetections]) -> COCO:
    rows = (
        (image, *row)
        for image, result in enumerate(results, start=1)
        for row in zip(result.classes.tolist(), result.boxes.tolist(), result.scores.tolist(), strict=True)
    )
    annotations = [
        annotation(number, image, label + 1, box) | {"score": value}
        for number, (image, label, box, value) in enumerate(rows, start=1)
    ]
    return _coco(dataset, annotations)


def _coco(dataset: Dataset, annotations: list[dict[str, Any]]) -> COCO:
    """Classes, images and annotations count from 1: pycocotools takes an id of 0 for "no match"."""
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
    """Gather one class from evalImgs, which lists classes, areas and images, nested in this order."""
    count = len(coco.params.imgIds)
    first = column * len(coco.params.areaRng) * count
    matched = [
        (index, image)
        for index, image in enumerate(coco.evalImgs[first : first + count])
        if image is not None
    ]
    objects = np.zeros(count, np.int64)
    for index, image in matched:
        objects[index] = len(image["gtIds"])
    scores = np.concatenate([[], *(image["dtScores"] for _, image in matched)])
    images = np.concatenate([[], *([index] * len(image["dtIds"]) for index, image in matched)]).astype(
        np.int64
    )
    hits = np.concatenate(
        [np.zeros((len(coco.params.iouThrs), 0)), *(image["dtMatches"] for _, image in matched)], axis=1
    )
    # As pycocotools sorts, so that ties fall alike.
    order = np.argsort(-scores, kind="mergesort")
    return Matches(label, images[order], scores[order], hits[:, order] > 0, objects)


def _size(box: Box) -> str:
    area = (box[2] - box[0]) * (box[3] - box[1])
    return SIZES[(area > 32**2) + (area > 96**2)]


def _mean(values: Floats) -> float | None:
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else None

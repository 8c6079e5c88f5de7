"""How good a detector is: pycocotools' mean average precision, and the best operating point of each class."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from training.datasets import Dataset
from training.decoding import Detections
from training.pixels import to_original


@dataclass(frozen=True, slots=True)
class Scores:
    """mAP[.5:.95] and mAP50 over the classes present; AP[.5:.95] per class, None where a class has no object.

    operating_points: per class the score with the best F1 at IoU 0.5, its F1, precision and recall.
    """

    map: float
    map50: float
    per_class: dict[str, float | None]
    images: int
    operating_points: dict[str, dict[str, float]]

    def summary(self) -> dict[str, Any]:
        """What is reported: everything but the operating points, rounded."""
        document = asdict(self)
        del document["operating_points"]
        document["map"], document["map50"] = round(self.map, 4), round(self.map50, 4)
        document["per_class"] = {k: None if v is None else round(v, 4) for k, v in self.per_class.items()}
        return document


def score(dataset: Dataset, found: Sequence[Detections], labels: Sequence[str]) -> Scores:
    """Compares the detections of each sample of `dataset`, in its order, with its objects.

    labels: the model's; they meet the dataset's by name. A class that the model does not know scores 0.
    """
    categories = {label: number for number, label in enumerate(dataset.labels, start=1)}
    truth: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for index, (sample, detections) in enumerate(zip(dataset.samples, found, strict=True), start=1):
        for each in sample.objects:
            box = _xywh(each.box)
            truth.append(
                {"id": len(truth) + 1, "image_id": index, "category_id": categories[each.label], "bbox": box}
                | {"area": box[2] * box[3], "iscrowd": 0}
            )
        boxes = to_original(detections.boxes, sample.width, sample.height).tolist()
        for box, value, which in zip(
            boxes, detections.scores.tolist(), detections.classes.tolist(), strict=True
        ):
            if category := categories.get(labels[which]):
                results.append(
                    {"image_id": index, "category_id": category, "bbox": _xywh(box), "score": value}
                )
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it goes
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [
                {"id": i, "width": s.width, "height": s.height} for i, s in enumerate(dataset.samples, 1)
            ],
            "annotations": truth,
            "categories": [{"id": number, "name": label} for label, number in categories.items()],
        }
        coco.createIndex()
        if not truth or not results:
            present = {each.label for sample in dataset.samples for each in sample.objects}
            nothing = {label: 0.0 if label in present else None for label in categories}
            return Scores(0.0, 0.0, nothing, len(dataset.samples), {})
        judge = COCOeval(coco, coco.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
    # precision: [IoU thresholds, recall levels, classes, areas, detections an image]; -1 where undefined
    precision = judge.eval["precision"][:, :, :, 0, -1]
    per_class: dict[str, float | None] = {}
    points: dict[str, dict[str, float]] = {}
    for column, label in enumerate(categories):
        defined = precision[:, :, column][precision[:, :, column] > -1]
        per_class[label] = float(defined.mean()) if defined.size else None
        if defined.size:
            points[label] = _best_point(
                precision[0, :, column], judge.params.recThrs, judge.eval["scores"][0, :, column, 0, -1]
            )
    return Scores(_mean(precision), _mean(precision[0]), per_class, len(dataset.samples), points)


def _xywh(box: Sequence[float]) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def _mean(precision: np.ndarray[Any, Any]) -> float:
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else 0.0


def _best_point(
    precision: np.ndarray[Any, Any], recall: np.ndarray[Any, Any], scores: np.ndarray[Any, Any]
) -> dict[str, float]:
    """The point of the precision-recall curve with the best F1."""
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    best = int(f1.argmax())
    return {
        "score": round(float(scores[best]), 4),
        "f1": round(float(f1[best]), 4),
        "precision": round(float(precision[best]), 4),
        "recall": round(float(recall[best]), 4),
    }

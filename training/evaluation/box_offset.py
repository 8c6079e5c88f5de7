"""By how much the labels lie beside what a model sees, so that its boxes can lie where the labels do.

Tools that label round their edges down (LabelImg: int(x)) or count pixels from 1, so that all boxes of a data set
lie half a pixel or a whole one off, always to the same side. A detector that learns from mirror images cannot learn
that: mirrored, the labels lie off to the other side, and what it learns is the middle. In small pictures it counts:
a pixel more or less at a box of 28 is 4 % of its IoU.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.datasets import Dataset
from training.evaluation.detection import detect
from training.evaluation.metrics import place
from training.model.decoding import iou
from training.model.onnx_model import OnnxModel

_IMAGES = 400  # as many are looked at, evenly spread
_OVERLAP = 0.7  # an object and what was found of it; worse fits tell less
_BORDER = 2.0  # pixels: an edge nearer to the picture's border was cut off there
_EDGES = 50  # fewer say nothing
_SIGMAS = 3.0  # so many standard deviations of chance, or there is no offset


def box_offset(model: OnnxModel, dataset: Dataset) -> tuple[float, float]:
    """How many pixels of the original the labels of `dataset` lie right of and below what `model` finds.

    The median over the edges of the objects that were found; 0 where a sign test does not show an offset. Two
    numbers out of hundreds of edges: the images may be those that the model learned from.
    """
    step = max(1, math.ceil(len(dataset.samples) / _IMAGES))
    some = replace(dataset, samples=dataset.samples[::step])
    apart = [np.zeros((0, 4))]
    for sample, found in zip(some.samples, place(some, detect(model, some), model.card.labels), strict=True):
        for each in sample.objects:
            box = np.array([each.box], np.float32)
            of_class = found.boxes[found.classes == dataset.labels.index(each.label)]
            # The surest one, and not the nearest: that would be chosen for lying where the label does.
            if len(close := of_class[iou(box, of_class)[0] >= _OVERLAP]):
                apart.append(_gaps(box, close[0], sample.width, sample.height))
    gaps = np.concatenate(apart)
    across, down = _offset(gaps[:, [0, 2]]), _offset(gaps[:, [1, 3]])
    return across, down


def _gaps(
    box: NDArray[np.float32], found: NDArray[np.float32], width: int, height: int
) -> NDArray[np.float64]:
    """[1, 4]: from each edge found to the labelled one, in pixels; NaN at the picture's border."""
    size = np.array([width, height, width, height])
    inside = (box > _BORDER) & (box < size - _BORDER)
    return np.where(inside, box - found, np.nan).astype(np.float64)


def _offset(gaps: NDArray[np.float64]) -> float:
    known = gaps[np.isfinite(gaps)]
    if len(known) < _EDGES or abs(np.sign(known).sum()) <= _SIGMAS * math.sqrt(len(known)):
        return 0.0
    return round(float(np.median(known)), 2)

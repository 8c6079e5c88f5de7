"""How far the labels of a data set are from the boxes that a model finds.

Tools that round label edges down (LabelImg: int(x)), or count pixels from 1, shift all boxes of a data set by half a
pixel or one, always to the same side. A detector that trains on mirror images cannot learn the shift: mirrored labels
are shifted to the other side, and it learns the mean. In small pictures this matters: a pixel more or less at a box of
28 is 4 % of its IoU. The offset is measured after training and kept in model.json, and every box is shifted by it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.datasets import Dataset
from training.evaluation.detection import detect
from training.evaluation.metrics import map_to_dataset
from training.model.decoding import iou
from training.model.onnx_model import OnnxModel

_MAX_IMAGES = 400  # more are thinned out evenly
_MIN_IOU = 0.7  # of a label with its detection; worse fits tell less about the offset
_BORDER = 2.0  # pixels: an edge this near to the picture's border was cut off there
_MIN_EDGES = 50  # fewer show no offset
_SIGMAS = 3.0  # the sign test's limit, in standard deviations


def box_offset(model: OnnxModel, dataset: Dataset) -> tuple[float, float]:
    """Return how many pixels of the original the labels are to the right of, and below, the boxes that `model` finds.

    Each value is the median over the edges of all objects that the model finds, or 0 if a sign test shows no offset.
    Two numbers from hundreds of edges: the images may be those that the model was trained on.
    """
    step = max(1, math.ceil(len(dataset.samples) / _MAX_IMAGES))
    sampled = replace(dataset, samples=dataset.samples[::step])
    results = map_to_dataset(sampled, detect(model, sampled), model.card.labels)
    gaps = [np.zeros((0, 4))]
    for sample, result in zip(sampled.samples, results, strict=True):
        for labelled in sample.objects:
            box = np.array([labelled.box], np.float32)
            candidates = result.boxes[result.classes == dataset.labels.index(labelled.label)]
            close = candidates[iou(box, candidates)[0] >= _MIN_IOU]
            # The one with the highest score. The nearest one would be biased towards an offset of 0.
            if len(close):
                gaps.append(_gaps(box, close[0], sample.width, sample.height))
    every = np.concatenate(gaps)
    return _offset(every[:, [0, 2]]), _offset(every[:, [1, 3]])


def _gaps(
    labelled: NDArray[np.float32], detected: NDArray[np.float32], width: int, height: int
) -> NDArray[np.float64]:
    """From each edge detected to the labelled one, in pixels, [1, 4]; NaN at the picture's border."""
    size = np.array([width, height, width, height])
    inside = (labelled > _BORDER) & (labelled < size - _BORDER)
    return np.where(inside, labelled - detected, np.nan).astype(np.float64)


def _offset(gaps: NDArray[np.float64]) -> float:
    known = gaps[np.isfinite(gaps)]
    if len(known) < _MIN_EDGES or abs(np.sign(known).sum()) <= _SIGMAS * math.sqrt(len(known)):
        return 0.0
    return round(float(np.median(known)), 2)

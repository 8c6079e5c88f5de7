"""A detector as ONNX, and the proof that the export sees what the original sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.artefact import MODEL
from training.decoding import Detections, detections, iou
from training.detectors import Detector
from training.errors import TrainingError
from training.onnx_model import OnnxModel

_SCORE_TOLERANCE = 0.01
_IOU_AT_LEAST = 0.98
_SCORE_AT_LEAST = 0.1  # weaker detections come and go at the threshold and at ties; nobody acts on them


class ParityError(TrainingError):
    """The exported model finds other defects than the trained one."""


def export(detector: Detector, folder: Path) -> Path:
    """Writes `folder`/model.onnx; the batch axis is dynamic.

    The weights keep their names and batch norms stay unfused (ONNX Runtime fuses them when it loads), so
    that the file also serves as a warm start: see `training.weights`.
    """
    detector.eval()
    example = torch.zeros(2, detector.input_size, detector.input_size, 3, dtype=torch.uint8)
    path = folder / MODEL
    # The newer exporter (dynamo=True) fails on these detectors with torch 2.15.
    torch.onnx.export(
        detector,
        (example,),
        str(path),
        input_names=["images"],
        output_names=["boxes", "scores"],
        dynamic_axes={"images": {0: "n"}, "boxes": {0: "n"}, "scores": {0: "n"}},
        opset_version=17,
        do_constant_folding=False,  # it would rename weights
        training=torch.onnx.TrainingMode.PRESERVE,
        dynamo=False,
    )
    return path


def check_parity(detector: Detector, exported: OnnxModel, images: Sequence[NDArray[np.uint8]]) -> float:
    """Compares decoded detections of both on `images`, uint8 [size, size, 3].

    Returns the largest difference of score between partners. Raises ParityError if a detection has no
    partner of its class at the same place with the same score.
    """
    detector.eval()
    worst = 0.0
    for number, pixels in enumerate(images):
        with torch.no_grad():
            boxes, scores = detector(torch.from_numpy(pixels.copy())[None])
        original = detections(boxes[0].numpy(), scores[0].numpy(), detector.postprocess)
        (other,) = exported.detect([pixels], detector.postprocess)
        for left, right in ((original, other), (other, original)):
            worst = max(worst, _compare(left, right, number))
    return worst


def _compare(left: Detections, right: Detections, number: int) -> float:
    worst = 0.0
    overlaps = iou(left.boxes, right.boxes)
    for index in np.flatnonzero(left.scores >= _SCORE_AT_LEAST):
        partners = (overlaps[index] >= _IOU_AT_LEAST) & (right.classes == left.classes[index])
        gap = float(np.abs(right.scores[partners] - left.scores[index]).min(initial=1.0))
        if gap > _SCORE_TOLERANCE:
            raise ParityError(
                f"the exported model differs on image {number}: class {left.classes[index]}, "
                f"box {left.boxes[index].round(3).tolist()}, score {left.scores[index]:.3f} has no partner"
            )
        worst = max(worst, gap)
    return worst

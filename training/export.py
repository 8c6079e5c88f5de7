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
_UNPAIRED_AT_MOST = 0.02  # two equal scores may swap in suppression, which keeps the one box or the other
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

    Returns the largest difference of score between partners. Raises ParityError if more than 2 % of the
    detections have no partner of their class at the same place with the same score.
    """
    detector.eval()
    worst, count = 0.0, 0
    unpaired: list[str] = []
    for number, pixels in enumerate(images):
        with torch.no_grad():
            boxes, scores = detector(torch.from_numpy(pixels.copy())[None])
        original = detections(boxes[0].numpy(), scores[0].numpy(), detector.postprocess)
        (other,) = exported.detect([pixels], detector.postprocess)
        for left, right in ((original, other), (other, original)):
            gaps = _gaps(left, right)
            count += len(gaps)
            worst = max(worst, float(gaps[gaps <= _SCORE_TOLERANCE].max(initial=0.0)))
            unpaired += [f"image {number}: score off by {gap:.3f}" for gap in gaps[gaps > _SCORE_TOLERANCE]]
    if len(unpaired) > _UNPAIRED_AT_MOST * count:
        raise ParityError(
            f"{len(unpaired)} of {count} detections differ from those of the export, first {unpaired[0]}"
        )
    return worst


def _gaps(left: Detections, right: Detections) -> NDArray[np.float32]:
    """For each detection of `left`: how far the score of its nearest partner in `right` is; 1 without one."""
    strong = left.scores >= _SCORE_AT_LEAST
    same = (iou(left.boxes, right.boxes) >= _IOU_AT_LEAST) & (left.classes[:, None] == right.classes[None, :])
    differences = np.where(same, np.abs(left.scores[:, None] - right.scores[None, :]), np.float32(1))
    nearest: NDArray[np.float32] = differences.min(axis=1, initial=1.0)[strong]
    return nearest

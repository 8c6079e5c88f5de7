"""A detector as ONNX, and the proof that the export sees what the original sees."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from training.detectors import Detector
from training.job.errors import TrainingError
from training.model.artefact import MODEL
from training.model.decoding import Detections, Postprocess, detections, iou
from training.model.onnx_model import OnnxModel

_SCORE_TOLERANCE = 0.01
_IOU_AT_LEAST = 0.98
_APART_AT_MOST = 1e-4  # of the image's side; a box without area overlaps nothing, not even itself
_UNPAIRED_AT_MOST = 0.02  # two equal scores may swap in suppression, which keeps the one box or the other
_SCORE_AT_LEAST = 0.1  # weaker detections come and go at the threshold and at ties; nobody acts on them
# Before suppression, whose choice among equals is chance.
_CANDIDATES = Postprocess(score_threshold=0.0, nms_iou=None, candidates=sys.maxsize, detections=sys.maxsize)
_BEST = replace(_CANDIDATES, detections=3)


class ParityError(TrainingError):
    """The exported model finds other defects than the trained one."""


def export(detector: Detector, folder: Path) -> Path:
    """Writes `folder`/model.onnx; the batch axis is dynamic, or 1 where the family can do no better.

    The file also serves as a warm start (see `training.learning.weights`): the weights keep their names, batch norms
    stay unfused (ONNX Runtime fuses them when it loads), and what only training uses is kept beside the graph.
    """
    detector.eval()
    axes = {name: {0: "n"} for name in ("images", "boxes", "scores")}
    if not detector.any_batch:
        axes = {name: {1: "a"} for name in ("boxes", "scores")}
    example = torch.zeros(
        2 if detector.any_batch else 1, detector.input_size, detector.input_size, 3, dtype=torch.uint8
    )
    path = folder / MODEL
    # The newer exporter (dynamo=True) fails on these detectors with torch 2.15.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shapes that become constants, which is what we want
        torch.onnx.export(
            detector,
            (example,),
            str(path),
            input_names=["images"],
            output_names=["boxes", "scores"],
            dynamic_axes=axes,
            opset_version=17,
            do_constant_folding=False,  # it would rename weights
            training=torch.onnx.TrainingMode.PRESERVE,
            dynamo=False,
        )
    _complete(path, detector)
    return path


def _complete(path: Path, detector: Detector) -> None:
    """Puts back the weights that the exporter left out: those of training alone, and those that equal another,
    for which it wrote an Identity of the other.
    """
    model = onnx.load(str(path))
    present = {each.name for each in model.graph.initializer}
    left_out = {name: value for name, value in detector.state_dict().items() if name not in present}
    nodes = [each for each in model.graph.node if each.output[0] not in left_out]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(
        numpy_helper.from_array(value.cpu().numpy(), name) for name, value in left_out.items()
    )
    onnx.save(model, str(path))


def check_parity(detector: Detector, exported: OnnxModel, images: Sequence[NDArray[np.uint8]]) -> float:
    """Compares decoded detections of both on `images`, uint8 [size, size, 3].

    Looked at are the detections that somebody would act on, and the best few candidates of each image whatever
    their score, so that a model that has learned little is proven too. Such a transformer may take all places for
    the same, and which of them it chooses is chance: weak candidates of families without suppression are compared
    by class and score alone.

    Returns the largest difference of score between partners. Raises ParityError if more than 2 % of the
    detections have no partner of their class at the same place with the same score, or if there is nothing to
    compare.
    """
    detector.eval()
    anywhere_below = _SCORE_AT_LEAST if detector.postprocess.nms_iou is None else 0.0
    worst, count = 0.0, 0
    unpaired: list[str] = []
    for number, pixels in enumerate(images):
        with torch.no_grad():
            outputs = detector(torch.from_numpy(pixels.copy())[None])
        original = outputs[0][0].numpy(), outputs[1][0].numpy()
        boxes, scores = exported.raw(pixels[None])
        other = boxes[0], scores[0]
        for left, right in ((original, other), (other, original)):
            gaps = np.concatenate(
                [
                    _gaps(detections(*left, how), detections(*right, among), least, anywhere)
                    for how, among, least, anywhere in (
                        (detector.postprocess, detector.postprocess, _SCORE_AT_LEAST, 0.0),
                        (_BEST, _CANDIDATES, 0.0, anywhere_below),
                    )
                ]
            )
            count += len(gaps)
            worst = max(worst, float(gaps[gaps <= _SCORE_TOLERANCE].max(initial=0.0)))
            unpaired += [f"image {number}: score off by {gap:.3f}" for gap in gaps[gaps > _SCORE_TOLERANCE]]
    if count == 0:
        raise ParityError(f"nothing to compare: neither has a candidate of any score on {len(images)} images")
    if len(unpaired) > _UNPAIRED_AT_MOST * count:
        raise ParityError(
            f"{len(unpaired)} of {count} detections differ from those of the export, first {unpaired[0]}"
        )
    return worst


def _gaps(left: Detections, right: Detections, least: float, anywhere_below: float) -> NDArray[np.float32]:
    """For each detection of `left` with such a score: how far the score of its nearest partner in `right` is;
    1 without one. Below the score `anywhere_below` a partner may lie anywhere.
    """
    apart = np.abs(left.boxes[:, None] - right.boxes[None, :]).max(axis=2, initial=0.0)
    there = (iou(left.boxes, right.boxes) >= _IOU_AT_LEAST) | (apart <= _APART_AT_MOST)
    there |= (left.scores < anywhere_below)[:, None]
    same = there & (left.classes[:, None] == right.classes[None, :])
    differences = np.where(same, np.abs(left.scores[:, None] - right.scores[None, :]), np.float32(1))
    nearest: NDArray[np.float32] = differences.min(axis=1, initial=1.0)[left.scores >= least]
    return nearest

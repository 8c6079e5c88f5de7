"""The export of a network to ONNX, and the proof that a detector and its export detect the same."""

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
from torch import nn

from training.detectors.base import Detector, Network
from training.job.errors import TrainingError
from training.model.artefact import MODEL
from training.model.decoding import Detections, Postprocess, detections, iou
from training.model.onnx_model import OnnxModel

_SCORE_TOLERANCE = 0.01
_IOU_AT_LEAST = 0.98
# Of the image's side. A box without area overlaps nothing, not even itself, so its distance counts.
_DISTANCE_AT_MOST = 1e-4
# Two equal scores may swap in suppression, which then keeps the other box.
_UNPAIRED_AT_MOST = 0.02
# Weaker detections appear and disappear at the threshold and at ties; nobody acts on them.
_SCORE_AT_LEAST = 0.1
# Before suppression, whose choice among equal scores is chance.
_CANDIDATES = Postprocess(score_threshold=0.0, nms_iou=None, candidates=sys.maxsize, detections=sys.maxsize)
_BEST = replace(_CANDIDATES, detections=3)

_Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Boxes [A, 4] and scores [A, C] of one image."""


class ParityError(TrainingError):
    """The exported model does not detect what the trained one detects."""


def export(network: Network, folder: Path) -> Path:
    """Write `folder`/model.onnx and return its path.

    The batch axis is dynamic, or 1 if the family cannot do better. The next training can start from the file (see
    `training.learning.weights`): the weights keep their names, batch norms stay unfused (ONNX Runtime fuses them when
    it loads the file), and weights that only training uses are stored in it, too.
    """
    path = folder / MODEL
    write_graph(network, network.input_size, path, network.outputs, any_batch=network.any_batch)
    _restore_missing_weights(path, network)
    return path


def write_graph(
    module: nn.Module, size: int, path: Path, outputs: Sequence[str], *, any_batch: bool = True
) -> None:
    """Write the graph of a module that takes `images`, uint8 [N, size, size, 3].

    Args:
        module: What `forward` does becomes the graph.
        size: Side of the pictures, in pixels.
        path: The file to write.
        outputs: The names of the outputs.
        any_batch: Whether the graph takes any number of pictures, or only one.
    """
    module.eval()
    axes = {name: {0: "n"} if any_batch else {1: "a"} for name in outputs}
    example = torch.zeros(2 if any_batch else 1, size, size, 3, dtype=torch.uint8)
    # The newer exporter (dynamo=True) fails on the detectors with torch 2.15.
    with warnings.catch_warnings():
        # About shapes that become constants, which is what we want.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (example,),
            str(path),
            input_names=["images"],
            output_names=list(outputs),
            dynamic_axes={"images": {0: "n"}, **axes} if any_batch else axes,
            opset_version=17,
            # Folding would rename weights.
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            dynamo=False,
        )


def _restore_missing_weights(path: Path, network: Network) -> None:
    """Add the weights that the exporter left out.

    It leaves out weights that only training uses, and weights that are equal to another one: it replaces them by an
    Identity node.
    """
    model = onnx.load(str(path))
    present = {weight.name for weight in model.graph.initializer}
    missing = {name: value for name, value in network.state_dict().items() if name not in present}
    nodes = [node for node in model.graph.node if node.output[0] not in missing]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(
        numpy_helper.from_array(value.cpu().numpy(), name) for name, value in missing.items()
    )
    onnx.save(model, str(path))


def check_parity(detector: Detector, exported: OnnxModel, images: Sequence[NDArray[np.uint8]]) -> float:
    """Compare the decoded detections of both models.

    The comparison covers the detections that somebody would act on, and the best few candidates of each image with
    any score, so that a model that has learned little is proven, too. A transformer that has learned little may rate
    all places the same, and which of them it chooses is chance: weak candidates of families without suppression are
    compared by class and score only.

    Args:
        detector: The trained model.
        exported: Its export.
        images: uint8 [size, size, 3] each.

    Returns:
        The largest difference of score between paired detections.

    Raises:
        ParityError: More than 2 % of the detections have no partner of their class with the same box and score, or
            there is nothing to compare.
    """
    detector.eval()
    worst, count = 0.0, 0
    unpaired: list[str] = []
    for number, pixels in enumerate(images):
        with torch.no_grad():
            outputs = detector(torch.from_numpy(pixels.copy())[None])
        original = outputs[0][0].numpy(), outputs[1][0].numpy()
        boxes, scores = exported.raw(pixels[None])
        gaps = _image_gaps(original, (boxes[0], scores[0]), detector.postprocess)
        count += len(gaps)
        worst = max(worst, float(gaps[gaps <= _SCORE_TOLERANCE].max(initial=0.0)))
        unpaired += [f"image {number}: score off by {gap:.3f}" for gap in gaps[gaps > _SCORE_TOLERANCE]]
    if count == 0:
        raise ParityError(
            f"nothing to compare: neither model has a candidate of any score on {len(images)} images"
        )
    if len(unpaired) > _UNPAIRED_AT_MOST * count:
        raise ParityError(
            f"{len(unpaired)} of {count} detections differ from those of the export, first {unpaired[0]}"
        )
    return worst


def _image_gaps(original: _Outputs, other: _Outputs, postprocess: Postprocess) -> NDArray[np.float32]:
    """Return the gaps (see `_gaps`) of one image's detections and best candidates, in both directions."""
    anywhere_below = _SCORE_AT_LEAST if postprocess.nms_iou is None else 0.0
    gaps = []
    for left, right in ((original, other), (other, original)):
        acted_on, partners = detections(*left, postprocess), detections(*right, postprocess)
        gaps.append(_gaps(acted_on, partners, least=_SCORE_AT_LEAST, anywhere_below=0.0))
        best, candidates = detections(*left, _BEST), detections(*right, _CANDIDATES)
        gaps.append(_gaps(best, candidates, least=0.0, anywhere_below=anywhere_below))
    return np.concatenate(gaps)


def _gaps(left: Detections, right: Detections, least: float, anywhere_below: float) -> NDArray[np.float32]:
    """Return the difference of score between detections and their nearest partners; 1 without a partner.

    Args:
        left: The detections whose partners are searched.
        right: The possible partners.
        least: Detections of `left` with a lower score are left out.
        anywhere_below: Below this score a partner may have any box.
    """
    distance = np.abs(left.boxes[:, None] - right.boxes[None, :]).max(axis=2, initial=0.0)
    same_box = (iou(left.boxes, right.boxes) >= _IOU_AT_LEAST) | (distance <= _DISTANCE_AT_MOST)
    same_box |= (left.scores < anywhere_below)[:, None]
    partners = same_box & (left.classes[:, None] == right.classes[None, :])
    differences = np.where(partners, np.abs(left.scores[:, None] - right.scores[None, :]), np.float32(1))
    nearest: NDArray[np.float32] = differences.min(axis=1, initial=1.0)[left.scores >= least]
    return nearest

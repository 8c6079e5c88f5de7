"""The graph of an ensemble: the weighted mean of the outputs of several models, in one ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper

from training.detectors.registry import build
from training.job.container import git_sha
from training.job.errors import TrainingError
from training.learning.export import ParityError
from training.model.artefact import MODEL, ModelCard, file_sha256
from training.model.decoding import Floats
from training.model.onnx_model import OnnxModel

# Added to each weight, so that the mean box is defined where every member's scores are 0.
_EPSILON = 1e-9
# Of boxes in 0..1 and of scores, between the joint graph and the members' mean.
_TOLERANCE = 1e-3
_BOXES, _SCORES = "boxes", "scores"


class EnsembleError(TrainingError):
    """The models cannot be averaged, or their ensemble cannot be evaluated."""


def join(members: Sequence[Path], folder: Path, name: str = "ensemble") -> ModelCard:
    """Write the ensemble of `members` to `folder`, as model.onnx and model.json.

    At each place the score of a class is the mean of the members' scores. The box is the mean of the members' boxes,
    each weighted by the member's best score there. The first member's weights keep their names, so that the ensemble
    is a warm start for its family.

    Args:
        members: Unpacked artefacts of detectors. An anomaly model beside one is left behind.
        folder: Where to write; it is created.
        name: The ensemble's, in its card.

    Returns:
        The ensemble's card.

    Raises:
        EnsembleError: The models cannot be averaged.
        ParityError: The joint graph does not compute the members' mean.
        ArtefactError: A member is damaged.
    """
    models = [OnnxModel(member) for member in members]
    cards = [model.card for model in models]
    check_alike(cards)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_joined([onnx.load(str(member / MODEL)) for member in members]), str(folder / MODEL))
    card = _card(cards, name, file_sha256(folder / MODEL))
    card.write(folder)
    difference = _check_mean(models, OnnxModel(folder))
    card.metrics["export_score_difference"] = difference
    card.write(folder)
    return card


def check_alike(cards: Sequence[ModelCard]) -> None:
    """Check that models can be averaged.

    Raises:
        EnsembleError: There are fewer than two models, one is there twice, or they differ; the message names the
            first difference.
    """
    if len(cards) < 2:
        raise EnsembleError("an ensemble has two models or more")
    first = cards[0]
    places = _places_of(first)
    for number, card in enumerate(cards[1:], 2):
        for aspect, expected, actual in (
            ("the places at which they look", places, _places_of(card)),
            ("labels", first.labels, card.labels),
            ("input size", first.input_size, card.input_size),
            ("postprocessing", first.postprocess, card.postprocess),
            ("tiles", first.tiles, card.tiles),
            ("bit depth", first.bit_depth, card.bit_depth),
            ("data set, so that one may have learned what another is tested on", *_data(first, card)),
        ):
            if expected != actual:
                raise EnsembleError(
                    f"model 1 ({first.name} {first.version}) and model {number} ({card.name} {card.version}) "
                    f"differ in their {aspect.removeprefix('the ')}: {expected} and {actual}"
                )
    # The same detector stays the same beside another anomaly model.
    versions = [replace(card, anomaly_model=None).version for card in cards]
    for number, card in enumerate(cards):
        if versions[number] in versions[:number]:
            raise EnsembleError(f"{card.name} {card.version} is there twice")


def _data(first: ModelCard, other: ModelCard) -> tuple[object, object]:
    return first.dataset.get("snapshot"), other.dataset.get("snapshot")


def _places_of(card: ModelCard) -> str:
    places = _places(card.family, len(card.labels), card.input_size)
    if not places:
        raise EnsembleError(
            f"{card.family} finds its boxes at no fixed places, so they cannot be averaged one by one; "
            "docs/families.md lists the families that can"
        )
    return places


@cache
def _places(family: str, classes: int, input_size: int) -> str:
    """The places of a family; most members are of the same one, and its network takes a while to build."""
    return build(family, classes, input_size).places


def _joined(models: Sequence[onnx.ModelProto]) -> onnx.ModelProto:
    """One graph from the shared input `images` to the members' weighted mean."""
    joint = compose.add_prefix(
        models[0],
        _prefix(0),
        rename_nodes=False,
        rename_edges=False,
        rename_inputs=False,
        rename_initializers=False,
        rename_value_infos=False,
    )
    for number, model in enumerate(models[1:], 1):
        if model.opset_import != joint.opset_import:
            raise EnsembleError(
                f"model {number + 1} was exported for another version of ONNX: export it again"
            )
        part = compose.add_prefix(model, _prefix(number), rename_inputs=False).graph
        joint.graph.node.extend(part.node)
        joint.graph.initializer.extend(part.initializer)
    joint.graph.node.extend(_mean([_prefix(number) for number in range(len(models))]))
    joint.graph.initializer.append(helper.make_tensor("ensemble/least", TensorProto.FLOAT, [], [_EPSILON]))
    del joint.graph.value_info[:]
    for output, name in zip(joint.graph.output, (_BOXES, _SCORES), strict=True):
        output.name = name
    onnx.checker.check_model(joint)
    return joint


def _prefix(number: int) -> str:
    return f"member{number + 1}/"


def _mean(prefixes: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes that compute the weighted mean of the outputs of members with these prefixes."""
    nodes = []
    for prefix in prefixes:
        best, weight, weighted = (f"{prefix}ensemble/{name}" for name in ("best", "weight", "weighted"))
        nodes += [
            helper.make_node("ReduceMax", [prefix + _SCORES], [best], axes=[-1], keepdims=1),
            helper.make_node("Add", [best, "ensemble/least"], [weight]),
            helper.make_node("Mul", [prefix + _BOXES, weight], [weighted]),
        ]
    return [
        *nodes,
        helper.make_node("Sum", [f"{prefix}ensemble/weighted" for prefix in prefixes], ["ensemble/boxes"]),
        helper.make_node("Sum", [f"{prefix}ensemble/weight" for prefix in prefixes], ["ensemble/weights"]),
        helper.make_node("Div", ["ensemble/boxes", "ensemble/weights"], [_BOXES]),
        helper.make_node("Mean", [prefix + _SCORES for prefix in prefixes], [_SCORES]),
    ]


def _check_mean(models: Sequence[OnnxModel], joint: OnnxModel) -> float:
    """Compare the joint graph with the members' mean on two pictures of noise. Returns the largest difference."""
    size = joint.card.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    expected, actual = mean([model.raw(pixels) for model in models]), joint.raw(pixels)
    gap = max(float(np.abs(e - a).max(initial=0.0)) for e, a in zip(expected, actual, strict=True))
    # `not <=` rather than `>`: NaN must fail, too.
    if not gap <= _TOLERANCE:
        raise ParityError(f"the joint graph is up to {gap:.4f} off its members' mean")
    return gap


def mean(outputs: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Return the ensemble's output.

    Args:
        outputs: Boxes [N, A, 4] and scores [N, A, C] of each member.

    Returns:
        Boxes and scores of the same shapes.
    """
    boxes, scores = (np.stack(tensors) for tensors in zip(*outputs, strict=True))
    weights: NDArray[np.float32] = scores.max(-1, keepdims=True) + np.float32(_EPSILON)
    return (boxes * weights).sum(0) / weights.sum(0), scores.mean(0)


def _card(cards: Sequence[ModelCard], name: str, sha256: str) -> ModelCard:
    first = cards[0]
    # If one member was trained on the validation part, the ensemble counts as trained on it.
    data = next((card.dataset for card in cards if card.dataset.get("validation") == 0), first.dataset)
    return replace(
        first,
        name=name,
        onnx_sha256=sha256,
        metrics={"training": _training([card.metrics.get("training") or {} for card in cards])},
        operating_points={},
        # Of the detectors alone; `pairing` puts an anomaly model beside their ensemble.
        anomaly_model=None,
        box_offset=_offset(cards),
        dataset=data,
        hyperparameters={},
        git_sha=git_sha(),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        members=[
            {
                "name": card.name,
                "version": card.version,
                "family": card.family,
                "hyperparameters": card.hyperparameters,
                "box_offset": card.box_offset,
                "metrics": card.metrics,
                "git_sha": card.git_sha,
            }
            for card in cards
        ],
    )


def _offset(cards: Sequence[ModelCard]) -> tuple[float, float]:
    right, down = np.mean([card.box_offset for card in cards], 0).round(2).tolist()
    return right, down


def _training(trainings: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How long all trainings took together, and on what, if that was the same for all."""
    total: dict[str, Any] = {"tuned": any(training.get("tuned") for training in trainings)}
    seconds = [training.get("seconds") for training in trainings]
    if None not in seconds:
        total["seconds"] = sum(float(value) for value in seconds if value)
    for name in ("device", "instance_type"):
        if len({training.get(name) for training in trainings}) == 1:
            total[name] = trainings[0].get(name)
    return total

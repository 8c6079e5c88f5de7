"""Several models as one: their findings at each place are averaged inside a single graph.

    python -m training.ensemble seed0.tar.gz seed1.tar.gz seed2.tar.gz --out ensemble.tar.gz

Equally good detectors that were trained apart are more precise together than each (Solovyev et al. 2021,
https://arxiv.org/abs/1910.13302), which costs as much as all of them together. The result is an ordinary
model.tar.gz: it is evaluated, deployed and served as any other. With --dataset it is measured on the validation
part, which gives it operating points of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper

from training.detectors.registry import build
from training.evaluation.detection import evaluate
from training.evaluation.examination import check_writable, select
from training.job.container import git_sha
from training.job.errors import TrainingError
from training.learning.export import ParityError
from training.model.artefact import MODEL, ModelCard, file_sha256, pack, unpack
from training.model.decoding import Floats
from training.model.onnx_model import OnnxModel

_LEAST = 1e-9  # a weight for places where no member expects anything, so that the mean box is defined
_TOLERANCE = 1e-3  # of boxes in 0..1 and of scores, between the joint graph and the members'
_BOXES, _SCORES = "boxes", "scores"


class EnsembleError(TrainingError):
    """The models cannot be averaged, or what came of it could not be trusted."""


def join(members: Sequence[Path], folder: Path, name: str = "ensemble") -> ModelCard:
    """Writes `folder`/{model.onnx,model.json} that judge as the mean of `members`, unpacked model folders.

    At each place the score of a class is the mean of the members' scores, and the box the mean of their boxes,
    each weighted by the member's best score there. The first member's weights keep their names, so that the
    ensemble is a warm start for its family.

    Returns the card. Raises EnsembleError for models whose findings cannot be averaged, ParityError if the
    joint graph does not give the members' mean.
    """
    models = [OnnxModel(each) for each in members]
    cards = [each.card for each in models]
    check_alike(cards)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_joined([onnx.load(str(each / MODEL)) for each in members]), str(folder / MODEL))
    card = _card(cards, name, file_sha256(folder / MODEL))
    card.write(folder)
    difference = _check_mean(models, OnnxModel(folder))
    card.metrics["export_score_difference"] = difference
    card.write(folder)
    return card


def check_alike(cards: Sequence[ModelCard]) -> None:
    """Raises EnsembleError, naming the first thing in which the models differ."""
    if len(cards) < 2:
        raise EnsembleError("an ensemble has two models or more")
    first = cards[0]
    places = _places(first)
    for number, card in enumerate(cards[1:], 2):
        for what, mine, theirs in (
            ("the places at which they look", places, _places(card)),
            ("labels", first.labels, card.labels),
            ("input size", first.input_size, card.input_size),
            ("postprocessing", first.postprocess, card.postprocess),
            ("tiles", first.tiles, card.tiles),
            ("data set, so that one may have learned what another is tested on", *_data(first, card)),
        ):
            if mine != theirs:
                raise EnsembleError(
                    f"model 1 ({first.name} {first.version}) and model {number} ({card.name} {card.version}) "
                    f"differ in their {what.removeprefix('the ')}: {mine} and {theirs}"
                )
    for number, card in enumerate(cards):
        if card.version in (other.version for other in cards[:number]):
            raise EnsembleError(f"{card.name} {card.version} is there twice")


def _data(first: ModelCard, other: ModelCard) -> tuple[object, object]:
    return first.dataset.get("snapshot"), other.dataset.get("snapshot")


def _places(card: ModelCard) -> str:
    found = build(card.family, len(card.labels), card.input_size).places
    if not found:
        raise EnsembleError(
            f"{card.family} finds its boxes at no fixed places, so they cannot be averaged one by one; "
            "families that can are in docs/families.md"
        )
    return found


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
                f"model {number + 1} was exported for another version of ONNX: export it anew"
            )
        part = compose.add_prefix(model, _prefix(number), rename_inputs=False).graph
        joint.graph.node.extend(part.node)
        joint.graph.initializer.extend(part.initializer)
    joint.graph.node.extend(_mean([_prefix(number) for number in range(len(models))]))
    joint.graph.initializer.append(helper.make_tensor("ensemble/least", TensorProto.FLOAT, [], [_LEAST]))
    del joint.graph.value_info[:]
    for output, name in zip(joint.graph.output, (_BOXES, _SCORES), strict=True):
        output.name = name
    onnx.checker.check_model(joint)
    return joint


def _prefix(number: int) -> str:
    return f"member{number + 1}/"


def _mean(prefixes: Sequence[str]) -> list[onnx.NodeProto]:
    nodes = []
    for each in prefixes:
        best, weight, weighted = (f"{each}ensemble/{name}" for name in ("best", "weight", "weighted"))
        nodes += [
            helper.make_node("ReduceMax", [each + _SCORES], [best], axes=[-1], keepdims=1),
            helper.make_node("Add", [best, "ensemble/least"], [weight]),
            helper.make_node("Mul", [each + _BOXES, weight], [weighted]),
        ]
    return [
        *nodes,
        helper.make_node("Sum", [f"{each}ensemble/weighted" for each in prefixes], ["ensemble/boxes"]),
        helper.make_node("Sum", [f"{each}ensemble/weight" for each in prefixes], ["ensemble/weights"]),
        helper.make_node("Div", ["ensemble/boxes", "ensemble/weights"], [_BOXES]),
        helper.make_node("Mean", [each + _SCORES for each in prefixes], [_SCORES]),
    ]


def _check_mean(models: Sequence[OnnxModel], joint: OnnxModel) -> float:
    """Compares the joint graph with the members' mean on two pictures of noise. Returns the largest gap."""
    size = joint.card.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    wanted, found = mean([each.raw(pixels) for each in models]), joint.raw(pixels)
    gap = max(float(np.abs(w - f).max(initial=0.0)) for w, f in zip(wanted, found, strict=True))
    if not gap <= _TOLERANCE:  # NaN is no small gap
        raise ParityError(f"the joint graph is up to {gap:.4f} off its members' mean")
    return gap


def mean(found: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Of boxes [N, A, 4] and scores [N, A, C] of several models: what their ensemble finds."""
    boxes, scores = (np.stack(each) for each in zip(*found, strict=True))
    weights: NDArray[np.float32] = scores.max(-1, keepdims=True) + np.float32(_LEAST)
    return (boxes * weights).sum(0) / weights.sum(0), scores.mean(0)


def _card(cards: Sequence[ModelCard], name: str, sha256: str) -> ModelCard:
    first = cards[0]
    # What one member learned from, all of them did: a part that any learned from tests nothing.
    data = next((each.dataset for each in cards if each.dataset.get("validation") == 0), first.dataset)
    return replace(
        first,
        name=name,
        onnx_sha256=sha256,
        metrics={"training": _training([each.metrics.get("training") or {} for each in cards])},
        operating_points={},
        box_offset=_offset(cards),
        dataset=data,
        hyperparameters={},
        git_sha=git_sha(),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        members=[
            {
                "name": each.name,
                "version": each.version,
                "family": each.family,
                "hyperparameters": each.hyperparameters,
                "box_offset": each.box_offset,
                "metrics": each.metrics,
                "git_sha": each.git_sha,
            }
            for each in cards
        ],
    )


def _offset(cards: Sequence[ModelCard]) -> tuple[float, float]:
    across, down = np.mean([each.box_offset for each in cards], 0).round(2).tolist()
    return across, down


def _training(each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What all trainings took together; where and on what, if that was the same for all."""
    total: dict[str, Any] = {"tuned": any(one.get("tuned") for one in each)}
    seconds = [one.get("seconds") for one in each]
    if None not in seconds:
        total["seconds"] = sum(float(one) for one in seconds if one)
    for name in ("device", "instance_type"):
        if len({one.get(name) for one in each}) == 1:
            total[name] = each[0].get(name)
    return total


def _measured(folder: Path, card: ModelCard, dataset: str) -> ModelCard:
    """The card with scores and operating points of the validation part."""
    if card.dataset.get("validation") == 0:
        raise EnsembleError(
            "a member learned from the validation part (refit=true), so nothing can be measured on it: "
            "leave --dataset out; `loupe evaluate` measures on the test part"
        )
    tests = select(dataset, "validation")
    if tests.snapshot != card.dataset.get("snapshot"):
        raise EnsembleError(f"{dataset} is not the data set that the members were trained on")
    scores = evaluate(OnnxModel(folder), tests.images)
    card.metrics["validation"] = scores.summary()
    return replace(card, operating_points=scores.operating_points)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 when the models cannot be joined."""
    parser = argparse.ArgumentParser(
        prog="loupe ensemble", description="Join several models into one that judges as their mean."
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="model.tar.gz, two or more")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the joint model.tar.gz")
    parser.add_argument("--name", default="ensemble", help="what records call it (default ensemble)")
    parser.add_argument(
        "--dataset", help="the members' data set: measures on its validation part, for operating points"
    )
    options = parser.parse_args(arguments)
    try:
        check_writable(options.out)
        with tempfile.TemporaryDirectory() as temporary:
            folders = [Path(temporary) / f"member{number}" for number in range(1, len(options.models) + 1)]
            for path, folder in zip(options.models, folders, strict=True):
                unpack(path, folder)
            joint = Path(temporary) / "joint"
            card = join(folders, joint, options.name)
            if options.dataset:
                card = _measured(joint, card, options.dataset)
                card.write(joint)
            pack(joint, options.out)
    except TrainingError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    sys.stdout.write(f"{options.out}: {card.name} {card.version}, {card.kind}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

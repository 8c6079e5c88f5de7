"""Join several models into one: detectors whose results are averaged, and an anomaly model beside a detector.

    python -m training.ensemble seed0.tar.gz seed1.tar.gz seed2.tar.gz --out ensemble.tar.gz
    python -m training.ensemble detector.tar.gz anomaly.tar.gz --out both.tar.gz

Equally good detectors that were trained separately are more precise together than each alone (Solovyev et al. 2021,
https://arxiv.org/abs/1910.13302). The ensemble takes as long as all its members together. The result is an ordinary
model.tar.gz: it is evaluated, deployed and served like any other. With --dataset it is evaluated on the validation
part, which gives it its own operating points.

A detector finds the defects that people have labelled, and an anomaly model everything else that is not as it should
be. Packed together, one endpoint answers with what both find. An anomaly model that is given by itself takes the place
of one that a detector has beside it already.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from contract.text import plain
from training.job import by_hand
from training.job.files import check_writable
from training.job.stopping import finishing

if TYPE_CHECKING:
    from training.model.artefact import ModelCard


def main(arguments: Sequence[str] | None = None) -> int:
    """Join models. Returns the exit status: 1 if they cannot be joined."""
    parser = by_hand.Parser(
        prog="loupe ensemble",
        description="Join several detectors into one that gives the mean of their results, and put an anomaly model "
        "beside a detector.",
    )
    parser.add_argument(
        "models", type=by_hand.given_path, nargs="+", metavar="MODEL", help="model.tar.gz, two or more"
    )
    parser.add_argument(
        "--out", type=by_hand.given_path, required=True, metavar="FILE", help="the joint model.tar.gz"
    )
    parser.add_argument(
        "--name", type=by_hand.given, help="its name in records (default ensemble, or the only detector's)"
    )
    parser.add_argument(
        "--dataset",
        type=by_hand.given,
        help="the members' data set: evaluate on its validation part, for operating points",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    return by_hand.run(lambda: _ensemble(options))


def _ensemble(options: argparse.Namespace) -> int:
    check_writable(options.out)
    # torch takes seconds to import. Until then a signal already ends in words.
    from training.model.artefact import pack

    with tempfile.TemporaryDirectory() as temporary:
        members = _unpacked(options.models, Path(temporary))
        detectors, anomaly = _sorted(members)
        joint = Path(temporary) / "joint"
        card = _join(detectors, anomaly, joint, options)
        with finishing():
            pack(joint, options.out)
            _show(card, _replaced(members, card), options)
    return 0


@dataclass(frozen=True)
class _Member:
    """A model that was given.

    Attributes:
        path: As it was given.
        folder: Where it is unpacked.
        card: Its card.
    """

    path: Path
    folder: Path
    card: ModelCard

    @property
    def is_anomaly_model(self) -> bool:
        """Whether it is an anomaly model by itself."""
        return self.card.anomaly is not None


def _unpacked(paths: Sequence[Path], temporary: Path) -> list[_Member]:
    from training.model.artefact import unpack

    members = []
    for number, path in enumerate(paths, 1):
        folder = temporary / f"member{number}"
        members.append(_Member(path, folder, unpack(path, folder)))
    return members


def _sorted(members: Sequence[_Member]) -> tuple[list[_Member], _Member | None]:
    """Return the detectors, and the model whose anomaly model the result gets.

    Raises:
        EnsembleError: There is no detector, or it is not clear which anomaly model is meant.
    """
    from training.learning.ensembling import EnsembleError

    detectors = [member for member in members if not member.is_anomaly_model]
    given = [member for member in members if member.is_anomaly_model]
    if not detectors:
        raise EnsembleError(
            "these are anomaly models, and the distances to two memories have no mean",
            hint="Learn one from the good pictures of both, or put one beside a detector.",
        )
    # One that is given by itself takes the place of those beside a detector.
    candidates = given or [member for member in detectors if member.card.anomaly_model]
    different = {_anomaly_version(member): member for member in candidates}
    if len(different) > 1:
        paths = " and ".join(str(member.path) for member in different.values())
        raise EnsembleError(
            f"a detector can have one anomaly model beside it, and {paths} have different ones",
            hint="Give the anomaly model that is meant by itself, as a model.tar.gz of its own.",
        )
    if len(members) < 2:
        raise EnsembleError("an ensemble has two models or more")
    return detectors, next(iter(different.values()), None)


def _anomaly_version(member: _Member) -> str:
    return member.card.anomaly_model["version"] if member.card.anomaly_model else member.card.version


def _join(
    detectors: Sequence[_Member], anomaly: _Member | None, joint: Path, options: argparse.Namespace
) -> ModelCard:
    """Write the joint model to `joint`, and return its card."""
    from training.learning.ensembling import EnsembleError, join
    from training.learning.pairing import pair

    # With one detector, `_sorted` has found an anomaly model.
    if len(detectors) == 1 and anomaly is not None:
        if options.dataset:
            raise EnsembleError(
                "--dataset evaluates detectors that are averaged, and one keeps its operating points",
                hint="Leave --dataset out. `loupe evaluate` evaluates both models together.",
            )
        return pair(detectors[0].folder, anomaly.folder, joint, options.name)
    card = join([detector.folder for detector in detectors], joint, options.name or "ensemble")
    if options.dataset:
        card = _with_validation(joint, card, options.dataset)
        card.write(joint)
    return card if anomaly is None else pair(joint, anomaly.folder, joint)


def _with_validation(folder: Path, card: ModelCard, dataset: str) -> ModelCard:
    """The card with scores and operating points of the validation part."""
    from training.evaluation.detection import evaluate
    from training.evaluation.runner import select
    from training.learning.ensembling import EnsembleError
    from training.model.onnx_model import OnnxModel

    if card.dataset.get("validation") == 0:
        raise EnsembleError(
            "a member was trained on the validation part (refit=true), so it cannot be evaluated there: "
            "leave --dataset out; `loupe evaluate` evaluates on the test part"
        )
    tests = select(dataset, "validation")
    if tests.snapshot != card.dataset.get("snapshot"):
        raise EnsembleError(f"{dataset} is not the data set that the members were trained on")
    scores = evaluate(OnnxModel(folder), tests.images)
    card.metrics["validation"] = scores.summary()
    return replace(card, operating_points=scores.operating_points)


def _replaced(members: Sequence[_Member], card: ModelCard) -> list[str]:
    """Return the anomaly models that were beside a detector, and are not beside the joint one."""
    if card.anomaly_model is None:
        return []
    before = [member.card.anomaly_model for member in members if member.card.anomaly_model]
    names = [f"{model['name']} {model['version']}" for model in before if model != card.anomaly_model]
    return list(dict.fromkeys(names))


def _show(card: ModelCard, replaced: Sequence[str], options: argparse.Namespace) -> None:
    beside = card.anomaly_model
    if not options.json:
        text = f"{options.out}: {card.name} {card.version}, {card.kind}"
        if beside:
            text += f", with the anomaly model {beside['name']} {beside['version']} beside it"
        if replaced:
            text += f" in place of {' and '.join(replaced)}"
        sys.stdout.write(plain(text) + "\n")
        return
    document = {
        "path": str(options.out),
        "name": card.name,
        "version": card.version,
        "family": card.family,
        "anomaly_model": beside,
        "replaced": list(replaced),
        "members": [
            {name: member[name] for name in ("name", "version", "family")} for member in card.members
        ],
        "validation": card.metrics.get("validation") if card.members else None,
    }
    sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())

"""Join several models into one: a single graph that averages their boxes and scores at each place.

    python -m training.ensemble seed0.tar.gz seed1.tar.gz seed2.tar.gz --out ensemble.tar.gz

Equally good detectors that were trained separately are more precise together than each alone (Solovyev et al. 2021,
https://arxiv.org/abs/1910.13302). The ensemble takes as long as all its members together. The result is an ordinary
model.tar.gz: it is evaluated, deployed and served like any other. With --dataset it is evaluated on the validation
part, which gives it its own operating points.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
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
        description="Join several models into one that gives the mean of their results.",
    )
    parser.add_argument(
        "models", type=by_hand.given_path, nargs="+", metavar="MODEL", help="model.tar.gz, two or more"
    )
    parser.add_argument(
        "--out", type=by_hand.given_path, required=True, metavar="FILE", help="the joint model.tar.gz"
    )
    parser.add_argument(
        "--name", type=by_hand.given, default="ensemble", help="its name in records (default ensemble)"
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
    from training.learning.ensembling import join
    from training.model.artefact import pack, unpack

    with tempfile.TemporaryDirectory() as temporary:
        folders = [Path(temporary) / f"member{number}" for number in range(1, len(options.models) + 1)]
        for path, folder in zip(options.models, folders, strict=True):
            unpack(path, folder)
        joint = Path(temporary) / "joint"
        card = join(folders, joint, options.name)
        if options.dataset:
            card = _with_validation(joint, card, options.dataset)
            card.write(joint)
        with finishing():
            pack(joint, options.out)
            _show(card, options)
    return 0


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


def _show(card: ModelCard, options: argparse.Namespace) -> None:
    if not options.json:
        sys.stdout.write(plain(f"{options.out}: {card.name} {card.version}, {card.kind}") + "\n")
        return
    document = {
        "path": str(options.out),
        "name": card.name,
        "version": card.version,
        "family": card.family,
        "members": [
            {name: member[name] for name in ("name", "version", "family")} for member in card.members
        ],
        "validation": card.metrics.get("validation"),
    }
    sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())

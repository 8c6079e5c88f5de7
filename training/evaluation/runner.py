"""Evaluate one artefact on one part of a data set, from its file to its report."""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, get_args

from contract.snapshots import Part
from training.datasets import Dataset, DatasetError, open_dataset
from training.evaluation import latency
from training.evaluation.cost import price_list, training_cost
from training.evaluation.detection import detect
from training.evaluation.golden import golden_set
from training.evaluation.metrics import rounded
from training.evaluation.result import Evaluation, evaluate_results, notes, warnings
from training.job.errors import TrainingError
from training.model.artefact import unpack
from training.model.onnx_model import OnnxModel

PARTS = get_args(Part)
ESCAPE_RATE = 0.02


@dataclass(frozen=True)
class Selection:
    """A part of a data set.

    Attributes:
        images: The part.
        split: Its name, one of PARTS.
        snapshot: Of the whole data set.
        total: How many images the whole data set has.
    """

    images: Dataset
    split: str
    snapshot: str
    total: int


def select(path: Path | str, split: str) -> Selection:
    """Open a part of a data set.

    Raises:
        DatasetError: The part is empty, or the data set cannot be read.
        TrainingError: The part is unknown.
    """
    if split not in PARTS:
        raise TrainingError(f"unknown split {split!r}; known are {', '.join(PARTS)}")
    whole = open_dataset(path)
    part = whole.part(cast(Part, split))
    if not part.samples:
        raise DatasetError(path, f"its part {split!r} is empty")
    return Selection(part, split, whole.snapshot(), len(whole.samples))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every evaluation: the part of the data set, and the escape rate."""
    parser.add_argument("--split", choices=PARTS, default="test", help="part of the data set (default test)")
    parser.add_argument(
        "--escape-rate",
        type=float,
        default=ESCAPE_RATE,
        metavar="SHARE",
        help="share of the images with a defect of a class that may pass (default 0.02)",
    )


def check_writable(*targets: Path | None) -> None:
    """Check before minutes of work that the folders of the files to write exist.

    Raises:
        TrainingError: A folder is missing.
    """
    for target in targets:
        if target and not target.absolute().parent.is_dir():
            raise TrainingError(f"{target} cannot be written: there is no folder {target.absolute().parent}")


def evaluate_artefact(
    artefact: Path, tests: Selection, escape_rate: float
) -> tuple[Evaluation, dict[str, Any]]:
    """Evaluate one artefact.

    Args:
        artefact: A model.tar.gz.
        tests: The images.
        escape_rate: The share of images that may escape.

    Returns:
        The result, and its report for JSON.

    Raises:
        TrainingError: The artefact is damaged, an image cannot be read, or the escape rate is out of range.
    """
    if not 0 <= escape_rate < 1:
        raise TrainingError(f"the escape rate must be at least 0 and below 1, not {escape_rate}")
    with tempfile.TemporaryDirectory() as folder:
        unpack(artefact, Path(folder))
        model = OnnxModel(Path(folder))
        started = time.perf_counter()
        results = detect(model, tests.images)
        seconds = time.perf_counter() - started
        evaluation = evaluate_results(model.card, tests.images, results, escape_rate)
        prices = price_list()
        report = {
            **evaluation.document(),
            "wanted_escape_rate": escape_rate,
            "split": tests.split,
            "dataset": {"snapshot": tests.snapshot, "images": tests.total},
            "trained_on_this_dataset": model.card.dataset.get("snapshot") == tests.snapshot,
            "warnings": warnings(evaluation, tests.split, tests.snapshot),
            "notes": notes(evaluation, escape_rate),
            "latency": latency.measure(model, tests.images),
            "golden": golden_set(model.card, tests.images, results),
            "training": rounded(asdict(training_cost(model.card.metrics))),
            "prices": {name: prices[name] for name in ("currency", "date", "instances")},
            "model_bytes": artefact.stat().st_size,
            "seconds": round(seconds, 1),
        }
    return evaluation, report

"""Evaluate one artefact on one part of a data set, from its file to its report."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from contract.snapshots import Part
from training.datasets import Dataset, DatasetError, read
from training.datasets.formats.coco import CROWDS
from training.datasets.snapshots.split import in_parts
from training.evaluation import latency
from training.evaluation.cost import price_list, training_cost
from training.evaluation.detection import detect
from training.evaluation.golden import golden_set
from training.evaluation.left_out import without
from training.evaluation.metrics import rounded
from training.evaluation.options import PARTS
from training.evaluation.result import Evaluation, evaluate_results, notes, warnings
from training.job.errors import TrainingError
from training.job.stopping import Stopped
from training.model.artefact import unpack
from training.model.decoding import Detections
from training.model.onnx_model import OnnxModel

# The kinds of problems of which an evaluation says how many there are.
_UNREADABLE, _SHAPE = "unreadable-image", "shape-box"


@dataclass(frozen=True)
class Selection:
    """A part of a data set.

    Attributes:
        images: The part.
        split: Its name, one of PARTS.
        snapshot: Of the whole data set.
        total: How many images the whole data set has.
        unreadable: The images of the whole data set that cannot be read; their part is not known.
        crowds: The number of crowds in the whole data set.
    """

    images: Dataset
    split: str
    snapshot: str
    total: int
    unreadable: tuple[str, ...] = ()
    crowds: int = 0


def select(path: Path | str, split: str) -> Selection:
    """Open a part of a data set. Images that cannot be read are left out, and named.

    Raises:
        DatasetError: The part is empty, or the data set cannot be read.
        TrainingError: The part is unknown.
    """
    if split not in PARTS:
        raise TrainingError(f"unknown split {split!r}; known are {', '.join(PARTS)}")
    reading = read(path)
    for problem in reading.problems:
        if problem.severity == "error" and problem.kind != _UNREADABLE:
            raise problem.error()
    whole, _ = in_parts(reading.dataset)
    part = whole.part(cast(Part, split))
    if not part.samples:
        raise DatasetError(path, f"its part {split!r} is empty")
    unreadable = tuple(problem.file for problem in reading.problems if problem.kind == _UNREADABLE)
    crowds = sum(
        problem.count
        for problem in reading.problems
        if problem.kind == _SHAPE and problem.message.endswith(CROWDS)
    )
    return Selection(part, split, whole.snapshot(), len(whole.samples), unreadable, crowds)


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
        TrainingError: The artefact is damaged, an image is missing or was altered, no image can be read, or the escape
            rate is out of range.
        Stopped: A signal ended it; it says after how many images.
    """
    if not 0 <= escape_rate < 1:
        raise TrainingError(f"the escape rate must be at least 0 and below 1, not {escape_rate}")
    with tempfile.TemporaryDirectory() as folder:
        unpack(artefact, Path(folder))
        model = OnnxModel(Path(folder))
        started = time.perf_counter()
        damaged: list[str] = []
        results = detect(model, tests.images, damaged)
        seconds = time.perf_counter() - started
        images = without(tests.images, damaged)
        if not images.samples:
            raise DatasetError(damaged[0], "and all other images of this part cannot be read")
        unreadable = [*tests.unreadable, *damaged]
        try:
            evaluation = evaluate_results(
                model.card, images, results, escape_rate, unreadable=unreadable, crowds=tests.crowds
            )
            report = _report(evaluation, model, tests, results, escape_rate)
        except Stopped as stop:
            stop.done = f"after {len(results)} of {len(results)} images, before the figures"
            raise
    return evaluation, report | {"model_bytes": artefact.stat().st_size, "seconds": round(seconds, 1)}


def _report(
    evaluation: Evaluation,
    model: OnnxModel,
    tests: Selection,
    results: Sequence[Detections],
    escape_rate: float,
) -> dict[str, Any]:
    prices, document = price_list(), evaluation.document()
    return {
        **document,
        "wanted_escape_rate": escape_rate,
        "split": tests.split,
        "dataset": {"snapshot": tests.snapshot, "images": tests.total},
        "trained_on_this_dataset": model.card.dataset.get("snapshot") == tests.snapshot,
        "warnings": warnings(evaluation, document["verdicts"], tests.split, tests.snapshot),
        "notes": notes(evaluation, document["verdicts"], escape_rate),
        "latency": latency.measure(model, evaluation.dataset),
        "golden": golden_set(model.card, evaluation.dataset, results),
        "training": rounded(asdict(training_cost(model.card.metrics))),
        "prices": {name: prices[name] for name in ("currency", "date", "instances")},
    }

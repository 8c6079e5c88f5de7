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
from training.evaluation.detection import detect, judge
from training.evaluation.golden import golden_set
from training.evaluation.left_out import without
from training.evaluation.metrics import rounded
from training.evaluation.options import PARTS, Rates
from training.evaluation.remarks import notes, warnings
from training.evaluation.result import Evaluation, Found, evaluate_results
from training.job.errors import TrainingError
from training.job.stopping import Stopped
from training.model.artefact import unpack
from training.model.models import Models, load

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


def evaluate_artefact(artefact: Path, tests: Selection, rates: Rates) -> tuple[Evaluation, dict[str, Any]]:
    """Evaluate one artefact.

    Args:
        artefact: A model.tar.gz.
        tests: The images.
        rates: What the operating points are for.

    Returns:
        The result, and its report for JSON.

    Raises:
        TrainingError: The artefact is damaged, an image is missing or was altered, no image can be read, or a rate is
            out of range.
        Stopped: A signal ended it; it says after how many images.
    """
    for name, rate in (("escape", rates.escape), ("overkill", rates.overkill)):
        if not 0 <= rate < 1:
            raise TrainingError(f"the {name} rate must be at least 0 and below 1, not {rate}")
    with tempfile.TemporaryDirectory() as folder:
        unpack(artefact, Path(folder))
        models = load(Path(folder))
        started = time.perf_counter()
        images, found, damaged = _run(models, tests.images)
        seconds = time.perf_counter() - started
        unreadable = [*tests.unreadable, *damaged]
        try:
            evaluation = evaluate_results(
                models.card, images, found, rates, unreadable=unreadable, crowds=tests.crowds
            )
            report = _report(evaluation, models, tests, rates)
        except Stopped as stop:
            stop.done = f"after {len(images.samples)} of {len(images.samples)} images, before the figures"
            raise
    return evaluation, report | {"model_bytes": artefact.stat().st_size, "seconds": round(seconds, 1)}


def _run(models: Models, images: Dataset) -> tuple[Dataset, Found, list[str]]:
    """Run all models of an artefact over the images that can be read.

    Returns:
        The images that could be read, what was found on them, and the names of the others.
    """
    damaged: list[str] = []
    boxes = judgements = None
    if models.detector is not None:
        boxes = detect(models.detector, images, damaged)
        images = _readable(images, damaged)
    if models.anomaly is not None:
        # What the detector has decoded can be decoded again.
        judgements = judge(models.anomaly, images, damaged if boxes is None else None)
        images = _readable(images, damaged)
    card = None if models.anomaly is None else models.anomaly.card
    return images, Found(boxes, judgements, card), damaged


def _readable(images: Dataset, damaged: Sequence[str]) -> Dataset:
    kept = without(images, damaged)
    if not kept.samples:
        raise DatasetError(damaged[0], "and all other images of this part cannot be read")
    return kept


def _report(evaluation: Evaluation, models: Models, tests: Selection, rates: Rates) -> dict[str, Any]:
    prices, document = price_list(), evaluation.document()
    card, dataset = evaluation.card, evaluation.dataset
    return {
        **document,
        "wanted_escape_rate": rates.escape,
        "wanted_overkill_rate": rates.overkill,
        "split": tests.split,
        "dataset": {"snapshot": tests.snapshot, "images": tests.total},
        "trained_on_this_dataset": any(
            part.card.dataset.get("snapshot") == tests.snapshot for part in models.parts
        ),
        "warnings": warnings(evaluation, document["verdicts"], tests.split, tests.snapshot),
        "notes": notes(evaluation, document["verdicts"], rates),
        "latency": latency.measure(models, dataset),
        "golden": golden_set(dataset, evaluation.answer, anomalies=evaluation.anomalies is not None),
        "training": rounded(asdict(training_cost(card.metrics))),
        "prices": {name: prices[name] for name in ("currency", "date", "instances")},
    }

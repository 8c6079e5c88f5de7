"""Everything there is to know of one artefact on one part of a data set."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, get_args

from contract.snapshots import Part
from training.datasets import Dataset, DatasetError, open_dataset
from training.evaluation import cost, latency
from training.evaluation.assessment import Evaluation, assess, notes, warnings
from training.evaluation.detection import detect
from training.evaluation.golden import golden
from training.evaluation.metrics import rounded
from training.job.errors import TrainingError
from training.model.artefact import unpack
from training.model.onnx_model import OnnxModel

PARTS = get_args(Part)
ESCAPE_RATE = 0.02


@dataclass(frozen=True)
class Selection:
    """The images to judge, and the snapshot of the whole data set that they are a part of."""

    images: Dataset
    split: str
    snapshot: str
    total: int


def select(path: Path | str, split: str) -> Selection:
    """Opens a part of a data set. Raises DatasetError if it is empty, TrainingError for an unknown part."""
    if split not in PARTS:
        raise TrainingError(f"unknown split {split!r}; known are {', '.join(PARTS)}")
    whole = open_dataset(path)
    part = whole.part(cast(Part, split))
    if not part.samples:
        raise DatasetError(path, f"its part {split!r} is empty")
    return Selection(part, split, whole.snapshot(), len(whole.samples))


def check_writable(*targets: Path | None) -> None:
    """Raises TrainingError for a file whose folder is missing: better before minutes of work than after."""
    for target in targets:
        if target and not target.absolute().parent.is_dir():
            raise TrainingError(f"{target} cannot be written: there is no folder {target.absolute().parent}")


def examine(artefact: Path, tests: Selection, escape_rate: float) -> tuple[Evaluation, dict[str, Any]]:
    """Everything about one artefact, and its report for JSON. Raises TrainingError."""
    if not 0 <= escape_rate < 1:
        raise TrainingError(f"the escape rate must be at least 0 and below 1, not {escape_rate}")
    with tempfile.TemporaryDirectory() as folder:
        unpack(artefact, Path(folder))
        model = OnnxModel(Path(folder))
        started = time.perf_counter()
        found = detect(model, tests.images)
        seconds = time.perf_counter() - started
        listed = cost.prices()
        evaluation = assess(model.card, tests.images, found, escape_rate)
        report = {
            **evaluation.document(),
            "wanted_escape_rate": escape_rate,
            "split": tests.split,
            "dataset": {"snapshot": tests.snapshot, "images": tests.total},
            "trained_on_this_dataset": model.card.dataset.get("snapshot") == tests.snapshot,
            "warnings": warnings(evaluation, tests.split, tests.snapshot),
            "notes": notes(evaluation, escape_rate),
            "latency": latency.measure(model, tests.images),
            "golden": golden(model.card, tests.images, found),
            "training": rounded(asdict(cost.training(model.card.metrics))),
            "prices": {name: listed[name] for name in ("currency", "date", "instances")},
            "model_bytes": artefact.stat().st_size,
            "seconds": round(seconds, 1),
        }
    return evaluation, report


def facts(
    evaluation: Evaluation, report: Mapping[str, Any], data: Path | str, command: str
) -> dict[str, str]:
    """What a page says at its end: enough to make it again."""
    card, where = evaluation.card, report["dataset"]
    return {
        "Model": f"{card.name}, version {card.version}",
        "Family": f"{card.kind}, input {card.input_size} × {card.input_size}",
        "Trained": f"{card.created_at or 'unknown'}, code {card.git_sha[:12]}",
        "Data set": f"{Path(data).name}, snapshot {where['snapshot'][:12]}",
        "Images": f"{report['images']} of {where['images']}, part {report['split']}",
        "Intervals": f"95 %, bootstrap over images, {report['confidence']['resamples']} resamples, "
        f"seed {report['confidence']['seed']}",
        "Made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Command": command,
    }

"""How good a model artefact is on a data set, measured as it will be served: ONNX Runtime, no torch.

By hand:      python -m training.evaluate --model model.tar.gz --dataset NEU-DET.zip --json
In a job:     python -m training.evaluate      (channels `model` and `test`, hyperparameter `split`)

The test part is the default: the fifth of the images that `train` never sees, chosen by their hashes.
A job writes <root>/output/data/evaluation.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from tqdm import tqdm

from training.artefact import unpack
from training.container import Container, emit, run
from training.datasets import Dataset, DatasetError, Part, Sample, open_dataset
from training.decoding import Detections, Postprocess
from training.errors import TrainingError
from training.metrics import Scores, score
from training.onnx_model import OnnxModel
from training.pixels import ImageError, Picture, decode

_BATCH = 16
PARTS = get_args(Part)


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of an evaluation job."""

    split: str = "test"


def for_metrics(how: Postprocess) -> Postprocess:
    """The whole precision-recall curve counts, so weak detections must not be cut off."""
    return replace(how, score_threshold=min(how.score_threshold, 0.001), detections=100)


def evaluate(model: OnnxModel, dataset: Dataset) -> Scores:
    """Judges every sample and scores the result. Raises DatasetError for an unreadable image."""
    size, how = model.card.input_size, for_metrics(model.card.postprocess)

    def load(sample: Sample) -> Picture:
        try:
            return decode(dataset.read(sample), size)
        except ImageError as error:
            raise DatasetError(sample.name, str(error)) from error

    found: list[Detections] = []
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(dataset.samples), unit="image", disable=not sys.stderr.isatty(), leave=False) as bar,
    ):
        for start in range(0, len(dataset.samples), _BATCH):
            pictures = list(pool.map(load, dataset.samples[start : start + _BATCH]))
            found += model.detect([picture.pixels for picture in pictures], how)
            bar.update(len(pictures))
    return score(dataset, found, model.card.labels)


def _evaluate(artefact: Path, data: Path, split: str) -> dict[str, object]:
    """The report of one artefact on one part of one data set."""
    if split not in PARTS:
        raise TrainingError(f"unknown split {split!r}; known are {', '.join(PARTS)}")
    whole = open_dataset(data)
    dataset = whole.part(cast(Part, split))
    if not dataset.samples:
        raise DatasetError(data, f"its part {split!r} is empty")
    with tempfile.TemporaryDirectory() as folder:
        unpack(artefact, Path(folder))
        model = OnnxModel(Path(folder))
        started = time.perf_counter()
        scores = evaluate(model, dataset)
    return {
        **scores.summary(),
        "split": split,
        "model": {"name": model.card.name, "version": model.card.version, "family": model.card.family},
        "dataset": {"snapshot": whole.snapshot(), "images": len(whole.samples)},
        "trained_on_this_dataset": model.card.dataset.get("snapshot") == whole.snapshot(),
        "seconds": round(time.perf_counter() - started, 1),
    }


def _job(container: Container) -> None:
    settings = container.hyperparameters(Settings)
    artefacts, data = container.channel("model"), container.channel("test")
    if artefacts is None or data is None:
        raise TrainingError(
            f"an evaluation needs the channels model and test under {container.root}/input/data"
        )
    report = _evaluate(artefacts / "model.tar.gz", data, settings.split)
    folder = container.output / "data"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    emit("evaluation", report)
    sys.stdout.write(f"test:map={report['map']} test:map50={report['map50']}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """By hand with options, as a job without any. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--model", type=Path, help="model.tar.gz")
    parser.add_argument("--dataset", type=Path, help="folder or zip, COCO or Pascal VOC")
    parser.add_argument("--split", choices=PARTS, default="test", help="part of the data set (default test)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    if options.model is None and options.dataset is None:
        return run(_job)
    if options.model is None or options.dataset is None:
        parser.error("--model and --dataset go together")
    try:
        report = _evaluate(options.model, options.dataset, options.split)
    except TrainingError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    sys.stdout.write(json.dumps(report) + "\n" if options.json else _table(report))
    return 0


def _table(report: dict[str, object]) -> str:
    per_class = cast(dict[str, float | None], report["per_class"])
    rows = [("mAP[.5:.95]", report["map"]), ("mAP50", report["map50"]), *per_class.items()]
    lines = [f"{name:24}{'-' if value is None else value}" for name, value in rows]
    return "\n".join([f"{report['images']} images, part {report['split']}", *lines]) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())

"""How good a model artefact is on a data set, measured as it will be served: ONNX Runtime, no torch.

By hand:  python -m training.evaluate --model model.tar.gz --dataset NEU-DET.zip --html page.html --rules rules.json
In a job: python -m training.evaluate   (channels `model` and `test`, hyperparameters `split`, `escape_rate`)

The test part is the default: the fifth of the images that `train` never sees, chosen by their hashes.
A job writes evaluation.json, evaluation.html and rules.json into <root>/output/data.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training import tiling
from training.artefact import unpack
from training.container import Container, cores, emit, run
from training.datasets import Dataset, DatasetError, Part, Sample, open_dataset
from training.decoding import Detections, Postprocess, moved
from training.errors import TrainingError
from training.metrics import Scores, rounded, score
from training.onnx_model import OnnxModel
from training.pixels import ImageError, Picture, decode
from training.reporting import cost, latency
from training.reporting.evaluation import Evaluation, assess, notes, warnings
from training.reporting.golden import golden

_BATCH = 16
_LONG = ("curves", "sweep", "golden", "prices")
PARTS = get_args(Part)
ESCAPE_RATE = 0.02


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of an evaluation job."""

    split: str = "test"
    escape_rate: float = ESCAPE_RATE


@dataclass(frozen=True)
class Selection:
    """The images to judge, and the snapshot of the whole data set that they are a part of."""

    images: Dataset
    split: str
    snapshot: str
    total: int


def for_metrics(how: Postprocess) -> Postprocess:
    """The whole precision-recall curve counts, so weak detections must not be cut off."""
    return replace(how, score_threshold=min(how.score_threshold, 0.001), detections=100)


def detect(model: OnnxModel, dataset: Dataset) -> list[Detections]:
    """Judges every sample as it is served, in tiles if the model has them, but keeping the weak detections.

    Raises DatasetError for an unreadable image.
    """
    size, how, tiles = model.card.input_size, for_metrics(model.card.postprocess), model.card.tiles
    # Pictures for tiles are kept in full: a few at a time, or they would fill the memory.
    batch = _BATCH if tiles is None else cores()

    def load(sample: Sample) -> Picture:
        try:
            return decode(dataset.read(sample), size, full_above=model.card.full_above)
        except ImageError as error:
            raise DatasetError(sample.name, str(error)) from error

    def seek(pixels: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        return model.detect(pixels, how)

    found: list[Detections] = []
    with (
        ThreadPoolExecutor(cores()) as pool,
        tqdm(total=len(dataset.samples), unit="image", disable=not sys.stderr.isatty(), leave=False) as bar,
    ):
        for start in range(0, len(dataset.samples), batch):
            pictures = list(pool.map(load, dataset.samples[start : start + batch]))
            if tiles is None:
                seen = seek([picture.pixels for picture in pictures])
            else:
                seen = [tiling.judge(seek, picture, tiles, how.detections) for picture in pictures]
            found += [
                moved(each, model.card.box_offset, picture.width, picture.height)
                for each, picture in zip(seen, pictures, strict=True)
            ]
            bar.update(len(pictures))
    return found


def evaluate(model: OnnxModel, dataset: Dataset) -> Scores:
    """Judges every sample and scores the result. Raises DatasetError for an unreadable image."""
    return score(dataset, detect(model, dataset), model.card.labels)


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


def _job(container: Container) -> None:
    settings = container.hyperparameters(Settings)
    artefacts, data = container.channel("model"), container.channel("test")
    if artefacts is None or data is None:
        raise TrainingError(
            f"an evaluation needs the channels model and test under {container.root}/input/data"
        )
    tests = select(data, settings.split)
    evaluation, report = examine(Path(artefacts) / "model.tar.gz", tests, settings.escape_rate)
    folder = container.output / "data"
    folder.mkdir(parents=True, exist_ok=True)
    _write(evaluation, report, data, folder / "evaluation.html", folder / "rules.json")
    (folder / "evaluation.json").write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    # A log line is cut at 256 KiB: what is long stays in the file.
    report["confidence"].pop("map_resamples")
    emit("evaluation", {name: value for name, value in report.items() if name not in _LONG})
    sys.stdout.write(f"test:map={report['map'] or 0.0} test:map50={report['map50'] or 0.0}\n")


def _write(
    evaluation: Evaluation, report: Mapping[str, Any], data: Path | str, html: Path | None, rules: Path | None
) -> None:
    # Only a page needs matplotlib and jinja2, and training, which measures too, need not load them.
    from training.reporting import page

    if html:
        command = shlex.join(["python", "-m", "training.evaluate", *sys.argv[1:]])
        page.write(html, page.evaluation_page(evaluation, report, facts(evaluation, report, data, command)))
    if rules:
        page.write(rules, json.dumps(evaluation.rules, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """By hand with options, as a job without any. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--model", type=Path, help="model.tar.gz")
    parser.add_argument("--dataset", help="labelled images: folder, zip, snapshot or s3:// prefix")
    parser.add_argument("--split", choices=PARTS, default="test", help="part of the data set (default test)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page with everything there is to see"
    )
    parser.add_argument("--rules", type=Path, metavar="FILE", help="write rules made of the operating points")
    parser.add_argument(
        "--escape-rate",
        type=float,
        default=ESCAPE_RATE,
        metavar="SHARE",
        help="of the images with a defect of a class, the share that may pass (default 0.02)",
    )
    options = parser.parse_args(arguments)
    if options.model is None and options.dataset is None:
        return run(_job)
    if options.model is None or options.dataset is None:
        parser.error("--model and --dataset go together")
    try:
        check_writable(options.html, options.rules)
        tests = select(options.dataset, options.split)
        evaluation, report = examine(options.model, tests, options.escape_rate)
        _write(evaluation, report, options.dataset, options.html, options.rules)
    except TrainingError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    for each in report["warnings"]:
        sys.stderr.write(f"WARNING: {each}\n")
    for each in report["notes"]:
        sys.stderr.write(f"note: {each}\n")
    sys.stdout.write(json.dumps(report, allow_nan=False) + "\n" if options.json else _table(report))
    return 0


def _table(report: Mapping[str, Any]) -> str:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    sure = report["confidence"]
    lines = [f"{report['images']} images, part {report['split']}"]
    for name, key in (("mAP[.5:.95]", "map"), ("mAP50", "map50"), ("mAP75", "map75")):
        bounds = "" if sure[key] is None else f"  [{sure[key][0]:.3f}, {sure[key][1]:.3f}]"
        lines.append(f"{name:12} {number(report[key])}{bounds}")
    wide = max(len("class"), *(len(label) for label in report["per_class"])) + 2
    lines.append(f"\n{'class':{wide}}{'AP':>7}{'AP50':>7}{'best F1 at':>12}{'escape at':>12}")
    for label, value in report["per_class"].items():
        points = report["operating_points"][label]
        at = [number(points[name] and points[name]["score"]) for name in ("best_f1", "escape")]
        fifty = number(report["per_class50"][label])
        lines.append(f"{label:{wide}}{number(value):>7}{fifty:>7}{at[0]:>12}{at[1]:>12}")
    speed = report["latency"]
    lines.append(f"\n{speed['p50_ms']} ms an image (p95 {speed['p95_ms']}), {speed['provider']}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())

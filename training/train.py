"""The container program `train`.

In a job:  python -m training.train
By hand:   python -m training.train --dataset NEU-DET.zip --family ssdlite --out DIR [--pretrained PATH]

A job has the channels `train`, `validation` (optional: without it the train channel is split by image hash,
70 % to learn from, 10 % to choose the best epoch, and 20 % left alone as the test part) and `pretrained`
(optional: weights to start from), and hyperparameters as strings (training/settings.py). It leaves
<root>/model/{model.onnx,model.json}, which SageMaker packs into model.tar.gz. By hand the same happens in
DIR, and DIR/model.tar.gz is packed too. Either way a killed run goes on after its last whole epoch.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from training.datasets import Dataset, DatasetError, open_dataset
from training.detectors import Detector
from training.detectors.registry import build, families
from training.evaluation.box_offset import box_offset
from training.evaluation.detection import evaluate
from training.job.container import Container, HyperparameterError, cores, git_sha, run
from training.job.errors import TrainingError
from training.learning.checkpoints import Checkpoints, State
from training.learning.engine import (
    MovingAverage,
    Schedule,
    keep_freed_memory,
    optimiser_of,
    peak_memory_mib,
    train_epoch,
    validate,
)
from training.learning.export import check_parity, export
from training.learning.hyperparameters import Hyperparameters
from training.learning.loading import Loader
from training.learning.progress import EventLines, Progress, Readable
from training.learning.weights import start_from
from training.model.artefact import ModelCard, file_sha256, pack
from training.model.onnx_model import OnnxModel

_PARITY_IMAGES = 32
_MOSAIC_UNTIL = 0.8  # of the epochs
_CYCLE_EPOCHS = 2


def train(container: Container, progress: Progress | None = None) -> None:
    """Runs the job. Raises TrainingError."""
    progress = progress or EventLines()
    keep_freed_memory()
    settings = container.hyperparameters(Hyperparameters).completed()
    torch.manual_seed(settings.seed)
    train_set, validation_set, snapshot = _datasets(container, settings)
    labels = train_set.labels
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    about = {"git_sha": git_sha(), "device": device.type, "hyperparameters": asdict(settings)}
    data = {"dataset": snapshot, "labels": labels, "dropped_boxes": train_set.dropped_boxes}
    progress.event("start", about | data)
    model = build(settings.family, len(labels), settings.input_size)
    model.use_views(settings.views)
    source = None
    if start := container.channel("pretrained") or settings.weights:
        loaded = start_from(model, start)
        source = {name: loaded[name] for name in ("source", "sha256")}
        progress.event("pretrained", loaded)
    model.to(device).to(memory_format=torch.channels_last)  # as the pixels come; CPUs gain a third
    loader = Loader(train_set, labels, settings.input_size, settings.seed, augment=True)
    validation = Loader(validation_set, labels, settings.input_size, settings.seed, augment=False)
    optimiser = optimiser_of(model, settings.learning_rate, settings.weight_decay)
    steps = len(loader.batches(0, settings.batch_size, 0))
    warm_up = max(1, round(settings.warmup_epochs * steps))
    schedule = Schedule(
        settings.learning_rate,
        warm_up,
        settings.epochs * steps,
        _CYCLE_EPOCHS * steps if settings.cycles else 0,
    )
    average = MovingAverage(model, settings.ema_decay, schedule)
    learning = {name: value for name, value in asdict(settings).items() if name != "views"}
    identity = json.dumps([learning, snapshot["snapshot"]], sort_keys=True)
    checkpoints = Checkpoints(container.checkpoints, identity)
    state = checkpoints.resume(model, average.model, optimiser)
    if state.epoch:
        progress.event("resume", {"after_epoch": state.epoch, "best_map": round(state.best_map, 4)})
    workers = settings.workers if settings.workers >= 0 else min(4, max(1, cores() - 1))
    epochs = settings.epochs + _CYCLE_EPOCHS * settings.cycles
    while state.epoch < epochs and not _out_of_patience(settings, state):
        as_they_are = _MOSAIC_UNTIL * settings.epochs <= state.epoch < settings.epochs
        mosaics = 0.0 if as_they_are else settings.mosaic
        batches = loader.batches(state.epoch + 1, settings.batch_size, workers, mosaics)
        done = train_epoch(model, average, optimiser, schedule, batches, state.step, device)
        state.epoch, state.step = state.epoch + 1, done.step
        fields: dict[str, float] = {"epoch": state.epoch, "loss": round(done.loss, 4)}
        if settings.refit:
            if state.epoch == epochs:
                state.best_epoch = state.epoch
                checkpoints.save_best(average.model)
        elif state.epoch % settings.validate_every == 0 or state.epoch == epochs:
            scores = validate(average.model, validation_set, validation, labels, device)
            fields |= {"val:map": round(scores.map, 4), "val:map50": round(scores.map50, 4)}
            if scores.map > state.best_map:
                state.best_map, state.best_epoch = scores.map, state.epoch
                checkpoints.save_best(average.model)
        state.seconds += done.seconds
        checkpoints.save(model, average.model, optimiser, state)
        progress.epoch(
            fields,
            {
                "epochs": epochs,
                "seconds": round(done.seconds, 1),
                "waiting_share": round(done.waiting / max(done.seconds, 1e-9), 3),
                "learning_rate": schedule.at(state.step),
                "peak_memory_mib": peak_memory_mib(device),
            },
        )
    if state.epoch < epochs:
        progress.event("early_stop", {"epoch": state.epoch, "best_epoch": state.best_epoch})
    checkpoints.load_best(average.model)
    training = {
        "seconds": round(state.seconds, 1),
        "epochs": state.epoch,
        "device": device.type,
        "instance_type": container.instance_type,
        "peak_memory_mib": peak_memory_mib(device),
        "tuned": settings.tuned,
        "pretrained": source,
    }
    card = _finish(container, settings, average.model.cpu(), train_set, validation_set, loader, snapshot)
    card.metrics.update({"best_epoch": state.best_epoch, "training": training})
    card.write(container.model)
    progress.event("done", {"version": card.version, "box_offset": card.box_offset, **card.metrics})


def _out_of_patience(settings: Hyperparameters, state: State) -> bool:
    if state.epoch >= settings.epochs:
        return False  # cycles show what they are worth at their end
    return 0 < settings.patience <= state.epoch - state.best_epoch and state.best_epoch > 0


def _datasets(container: Container, settings: Hyperparameters) -> tuple[Dataset, Dataset, dict[str, object]]:
    """What to learn from, what to validate on, and what model.json says of both."""
    if settings.refit and settings.tuned:
        raise HyperparameterError(
            "refit=true leaves nothing to validate on, and tuning chooses by the validation mAP: "
            "tune first, then refit with what it found"
        )
    if settings.cycles < 0 or (settings.cycles and settings.tuned):
        raise HyperparameterError(
            "cycles is a number of cycles after the epochs, 0 for none, and tuning, which counts epochs, has none: "
            "tune first, then train with what it found and cycles"
        )
    channel = container.channel("train")
    if channel is None:
        raise DatasetError(container.root / "input/data/train", "the channel train is missing")
    whole = open_dataset(channel)
    if other := container.channel("validation"):
        parts = whole, open_dataset(other)
        split = "by channel"
    else:
        parts = whole.part("train"), whole.part("validation")
        split = "by snapshot" if whole.snapshot_id else "by image hash, 70/10/20"
    parts = _share(parts[0], settings.train_share), parts[1]
    for name, part in zip(("train", "validation"), parts, strict=True):
        if not any(sample.objects for sample in part.samples):
            raise DatasetError(channel, f"its {name} part holds no labelled image")
    if len(parts[0].samples) < 2:  # batch norm needs company
        raise DatasetError(channel, "its train part holds a single image; two are the least to train on")
    if unknown := set(parts[1].labels) - set(whole.labels):
        raise DatasetError(channel, f"lacks labels of the validation channel: {', '.join(sorted(unknown))}")
    learned, validated = parts
    if settings.refit:
        if other:
            raise HyperparameterError(
                "refit=true learns from both parts of one data set: leave the validation out"
            )
        learned = replace(learned, samples=learned.samples + validated.samples)
        split += ", the validation part learned from, too"
    counts = {
        "train": len(learned.samples),
        "validation": 0 if settings.refit else len(validated.samples),
        "images": len(whole.samples),
    }
    return learned, validated, {"snapshot": whole.snapshot(), "split": split, **counts}


def _share(dataset: Dataset, share: float) -> Dataset:
    """The samples whose hashes fall into the first `share`; other digits than those that choose the part."""
    kept = (sample for sample in dataset.samples if int(sample.sha256[8:16], 16) < share * 0x1_0000_0000)
    return replace(dataset, samples=tuple(kept))


def _finish(
    container: Container,
    settings: Hyperparameters,
    model: Detector,
    train_set: Dataset,
    validation_set: Dataset,
    loader: Loader,
    snapshot: dict[str, object],
) -> ModelCard:
    """Exports `model`, proves the export, puts its boxes where the labels are, measures it, and returns what
    model.json says of it.
    """
    container.model.mkdir(parents=True, exist_ok=True)
    path = export(model, container.model)
    card = ModelCard(
        name=settings.name,
        family=settings.family,
        labels=train_set.labels,
        input_size=model.input_size,
        normalisation=model.normalisation,
        postprocess=model.postprocess,
        onnx_sha256=file_sha256(path),
        dataset=snapshot,
        hyperparameters=asdict(settings),
        git_sha=git_sha(),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    card.write(container.model)
    exported = OnnxModel(container.model)
    images = [loader.pixels(index).numpy() for index in range(min(_PARITY_IMAGES, len(loader)))]
    difference = check_parity(model, exported, images)
    card = replace(card, box_offset=box_offset(exported, train_set))
    card.metrics["export_score_difference"] = difference
    exported.card = card
    if settings.refit:
        return card
    scores = evaluate(exported, validation_set)
    card.metrics["validation"] = scores.summary()
    return replace(card, operating_points=scores.operating_points)


def main(arguments: Sequence[str] | None = None) -> int:
    """A job without options, by hand with them. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="loupe train", description="Train a detector. Run again after a kill, it goes on."
    )
    parser.add_argument("--dataset", help="what to learn from: folder, zip, snapshot or s3:// prefix")
    parser.add_argument("--validation", help="without it: a tenth of the data set, by image hash")
    parser.add_argument("--family", choices=families(), help="the kind of detector (docs/families.md)")
    parser.add_argument("--out", type=Path, help="folder for checkpoints and the finished model.tar.gz")
    parser.add_argument("--epochs", type=int, help="the family's own number without it")
    parser.add_argument(
        "--pretrained", help="file to start from, or a name such as imagenet or coco (needs a network)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any hyperparameter")
    parser.add_argument("--json", action="store_true", help="JSON lines, as a job writes them")
    options = parser.parse_args(arguments)
    if not (options.dataset or options.family or options.out):
        return run(train)
    if not (options.dataset and options.family and options.out):
        parser.error("--dataset, --family and --out go together")
    try:
        train(_by_hand(options), EventLines() if options.json else Readable())
    except TrainingError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on after the last whole epoch\n")
        return 130
    artefact = pack(options.out / "model", options.out / "model.tar.gz")
    sys.stdout.write(f"{artefact}\n")
    return 0


def _by_hand(options: argparse.Namespace) -> Container:
    """The job that the options describe, in the folder `--out`."""
    given = {"family": options.family, "name": options.family}
    for setting in options.set:
        name, equals, value = setting.partition("=")
        if not equals:
            raise HyperparameterError(f"--set {setting!r} is not of the form NAME=VALUE")
        given[name] = value
    if options.epochs is not None:
        given["epochs"] = str(options.epochs)
    channels: dict[str, Path | str] = {"train": options.dataset}
    if options.validation:
        channels["validation"] = options.validation
    if options.pretrained and Path(options.pretrained).exists():
        channels["pretrained"] = Path(options.pretrained)
    elif options.pretrained:
        given["weights"] = options.pretrained
    return Container(options.out, channels, given)


if __name__ == "__main__":
    raise SystemExit(main())

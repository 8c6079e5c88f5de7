"""The container program `train`: `python -m training.train`.

Channels: `train` (COCO or Pascal VOC, folder or zip); `validation`, optional: without it the train channel
is split by image hash, 70 % to learn from, 10 % to choose the best epoch, and 20 % left alone as the test
part; `pretrained`, optional: weights to start from. Hyperparameters: `Hyperparameters` below, as strings.
Leaves <root>/model/{model.onnx,model.json}, which SageMaker packs into model.tar.gz; `--pack FILE` does it
by hand. A killed job that finds its checkpoints goes on after its last epoch.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.optim import AdamW

from training.artefact import ModelCard, file_sha256, pack
from training.container import Container, emit, git_sha, run
from training.datasets import Dataset, DatasetError, open_dataset
from training.detectors import Detector, build, recipe
from training.engine import MovingAverage, Schedule, train_epoch, validate
from training.errors import TrainingError
from training.evaluate import evaluate
from training.export import check_parity, export
from training.loading import Loader
from training.onnx_model import OnnxModel
from training.weights import warm_start

_PARITY_IMAGES = 32


class CheckpointError(TrainingError):
    """The checkpoints belong to another run."""


@dataclass(frozen=True)
class Hyperparameters:
    """All settings of a training job. Where a value is 0, the family's own recipe decides."""

    family: str = "ssdlite"
    name: str = "detector"
    input_size: int = 0
    epochs: int = 0
    batch_size: int = 0
    learning_rate: float = 0.0
    weight_decay: float = 0.0
    warmup_epochs: float = 1.0
    ema_decay: float = 0.998
    validate_every: int = 5
    seed: int = 0
    workers: int = -1  # -1: one a core beside the trainer's, four at most

    def completed(self) -> Hyperparameters:
        """With the family's recipe in the place of every 0. Raises UnknownFamilyError."""
        suits = asdict(recipe(self.family))
        return replace(self, **{name: value for name, value in suits.items() if not getattr(self, name)})


@dataclass
class _State:
    """Where a run stands after an epoch."""

    epoch: int = 0
    step: int = 0
    best_map: float = -1.0
    best_epoch: int = 0


def train(container: Container) -> None:
    """Runs the job. Raises TrainingError."""
    settings = container.hyperparameters(Hyperparameters).completed()
    torch.manual_seed(settings.seed)
    train_set, validation_set, snapshot = _datasets(container)
    labels = train_set.labels
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    about = {"git_sha": git_sha(), "device": device.type, "hyperparameters": asdict(settings)}
    data = {"dataset": snapshot, "labels": labels, "dropped_boxes": train_set.dropped_boxes}
    emit("start", about | data)
    model = build(settings.family, len(labels), settings.input_size)
    if channel := container.channel("pretrained"):
        emit("pretrained", warm_start(model, channel))
    model.to(device, memory_format=torch.channels_last)  # the pixels come so, and CPUs gain a third
    average = MovingAverage(model, settings.ema_decay)
    loader = Loader(train_set, labels, settings.input_size, settings.seed, augment=True)
    validation = Loader(validation_set, labels, settings.input_size, settings.seed, augment=False)
    optimiser = AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    identity = json.dumps([asdict(settings), snapshot["snapshot"]], sort_keys=True)
    state = _resume(container.checkpoints, identity, model, average, optimiser)
    steps = len(loader.batches(0, settings.batch_size, 0))
    schedule = Schedule(
        settings.learning_rate, max(1, round(settings.warmup_epochs * steps)), settings.epochs * steps
    )
    workers = settings.workers if settings.workers >= 0 else min(4, max(1, (os.cpu_count() or 1) - 1))
    for epoch in range(state.epoch + 1, settings.epochs + 1):
        started = time.perf_counter()
        batches = loader.batches(epoch, settings.batch_size, workers)
        state.step, loss = train_epoch(model, average, optimiser, schedule, batches, state.step, device)
        state.epoch = epoch
        fields: dict[str, float] = {"epoch": epoch, "loss": round(loss, 4)}
        if epoch % settings.validate_every == 0 or epoch == settings.epochs:
            scores = validate(average.model, validation_set, validation, labels, device)
            fields |= {"val:map": round(scores.map, 4), "val:map50": round(scores.map50, 4)}
            if scores.map > state.best_map:
                state.best_map, state.best_epoch = scores.map, epoch
                _save(average.model, container.checkpoints / "best.safetensors")
        _checkpoint(container.checkpoints, identity, model, average, optimiser, state)
        seconds = round(time.perf_counter() - started, 1)
        emit("epoch", fields | {"learning_rate": schedule.at(state.step), "seconds": seconds})
        sys.stdout.write(" ".join(f"{name}={value}" for name, value in fields.items()) + "\n")
        sys.stdout.flush()
    _finish(container, settings, average.model.cpu(), labels, validation_set, validation, snapshot, state)


def _datasets(container: Container) -> tuple[Dataset, Dataset, dict[str, object]]:
    """What to learn from, what to validate on, and what model.json says of both."""
    channel = container.channel("train")
    if channel is None:
        raise DatasetError(container.root / "input/data/train", "the channel train is missing")
    whole = open_dataset(channel)
    if other := container.channel("validation"):
        parts = whole, open_dataset(other)
        split = "by channel"
    else:
        parts = whole.part("train"), whole.part("validation")
        split = "by image hash, 70/10/20"
    for name, part in zip(("train", "validation"), parts, strict=True):
        if not any(sample.objects for sample in part.samples):
            raise DatasetError(channel, f"its {name} part holds no labelled image")
    if len(parts[0].samples) < 2:  # batch norm needs company
        raise DatasetError(channel, "its train part holds a single image; two are the least to train on")
    if unknown := set(parts[1].labels) - set(whole.labels):
        raise DatasetError(channel, f"lacks labels of the validation channel: {', '.join(sorted(unknown))}")
    counts = {
        "train": len(parts[0].samples),
        "validation": len(parts[1].samples),
        "images": len(whole.samples),
    }
    return *parts, {"snapshot": whole.snapshot(), "split": split, **counts}


def _resume(folder: Path, identity: str, model: Detector, average: MovingAverage, optimiser: AdamW) -> _State:
    """Takes up the checkpoint in `folder`, if any. Raises CheckpointError if it is another run's."""
    path = folder / "last.pt"
    if not path.exists():
        return _State()
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content["identity"] != identity:
        raise CheckpointError(
            f"{path} is of a run with other hyperparameters or data; remove it or move elsewhere"
        )
    model.load_state_dict(content["model"])
    average.model.load_state_dict(content["average"])
    optimiser.load_state_dict(content["optimiser"])
    state = _State(**content["state"])
    emit("resume", {"after_epoch": state.epoch})
    return state


def _checkpoint(
    folder: Path, identity: str, model: Detector, average: MovingAverage, optimiser: AdamW, state: _State
) -> None:
    """Replaces the checkpoint in one step, so that a kill leaves the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "identity": identity,
        "model": model.state_dict(),
        "average": average.model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "state": asdict(state),
    }
    temporary = folder / "last.pt.part"
    torch.save(content, temporary)
    temporary.replace(folder / "last.pt")


def _save(model: Detector, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, temporary)
    temporary.replace(path)


def _finish(
    container: Container,
    settings: Hyperparameters,
    model: Detector,
    labels: tuple[str, ...],
    validation_set: Dataset,
    validation: Loader,
    snapshot: dict[str, object],
    state: _State,
) -> None:
    """Exports the best weights, proves the export, measures it, and writes model.json."""
    model.load_state_dict(load_file(container.checkpoints / "best.safetensors"))
    container.model.mkdir(parents=True, exist_ok=True)
    path = export(model, container.model)
    card = ModelCard(
        name=settings.name,
        family=settings.family,
        labels=labels,
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
    images = [validation.pixels(index).numpy() for index in range(min(_PARITY_IMAGES, len(validation)))]
    difference = check_parity(model, exported, images)
    scores = evaluate(exported, validation_set)
    metrics = {
        "validation": scores.summary(),
        "best_epoch": state.best_epoch,
        "export_score_difference": difference,
    }
    replace(card, metrics=metrics, operating_points=scores.operating_points).write(container.model)
    emit("done", {"version": card.version} | metrics)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the job of the container's root. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--pack", type=Path, help="also pack the artefact into this model.tar.gz")
    options = parser.parse_args(arguments)

    def job(container: Container) -> None:
        train(container)
        if options.pack:
            pack(container.model, options.pack)

    return run(job)


if __name__ == "__main__":
    raise SystemExit(main())

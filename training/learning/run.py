"""A training run: its data and its model, its epochs, and the artefact at its end."""

from __future__ import annotations

import json
from dataclasses import dataclass

import torch
from torch.optim import AdamW

from training.detectors import Detector
from training.detectors.registry import build
from training.job.container import Container, cores, git_sha
from training.job.hyperparameters import parse
from training.job.stopping import Stopped
from training.learning.averaging import MovingAverage
from training.learning.checkpoints import Checkpoints, State
from training.learning.data import TrainingData, open_training_data
from training.learning.engine import Epoch, build_optimiser, train_epoch, validate
from training.learning.finishing import export_with_card
from training.learning.hyperparameters import Hyperparameters
from training.learning.loading import Loader
from training.learning.memory import keep_freed_memory, peak_memory_mib
from training.learning.processor import training_device
from training.learning.progress import EventLines, Progress
from training.learning.schedule import Schedule
from training.learning.supply import shared_memory_free, shared_memory_needed
from training.learning.weights import load_pretrained
from training.model.artefact import ModelCard

_MOSAIC_UNTIL = 0.8  # of the epochs
_CYCLE_EPOCHS = 2
_WORKERS_AT_MOST = 4


@dataclass(frozen=True)
class _Run:
    """Everything that a run consists of.

    Attributes:
        pretrained: The source and SHA-256 of the weights that it started from; None: random weights.
        epochs: Epochs with those of the cycles.
    """

    container: Container
    progress: Progress
    settings: Hyperparameters
    data: TrainingData
    device: torch.device
    model: Detector
    pretrained: dict[str, object] | None
    loader: Loader
    validation_loader: Loader
    optimiser: AdamW
    schedule: Schedule
    average: MovingAverage
    checkpoints: Checkpoints
    state: State
    epochs: int


def train(container: Container, progress: Progress | None = None) -> ModelCard:
    """Run a training job.

    Args:
        container: The job's input and output folders.
        progress: Receives the reports of the run; by default JSON lines on standard output.

    Returns:
        The card of the model.

    Raises:
        TrainingError: The job cannot continue.
        Stopped: A signal ended the run; it says after which epoch.
    """
    keep_freed_memory()
    training = _set_up(container, progress or EventLines())
    try:
        _train_epochs(training)
        return _finish(training)
    except Stopped as stop:
        _say_what_is_done(stop, training)
        raise


def _say_what_is_done(stop: Stopped, training: _Run) -> None:
    if saved := training.checkpoints.epoch:
        stop.done, stop.outcome = f"after epoch {saved} of {training.epochs}", "the same command continues"
    else:
        stop.done = f"before the end of epoch 1 of {training.epochs}"
        stop.outcome = "the same command starts again"


def _set_up(container: Container, progress: Progress) -> _Run:
    """Prepare a run, or the rest of one that was killed."""
    settings = parse(Hyperparameters, container.hyperparameters(), container.called).completed()
    # Before the data is read: an instance that cannot train says so in its first second.
    device = training_device(container.instance_type)
    torch.manual_seed(settings.seed)
    data = open_training_data(container, settings)
    labels = data.train.labels
    job = {"git_sha": git_sha(), "device": device.type, "hyperparameters": settings.model_dump()}
    contents = {"dataset": data.description, "labels": labels, "dropped_boxes": data.train.dropped_boxes}
    progress.event("start", job | contents)
    model, pretrained = _build_model(container, settings, len(labels), progress)
    # The memory format of the decoded pixels; CPUs become a third faster with it.
    model.to(device).to(memory_format=torch.channels_last)
    depth = settings.bit_depth or None
    loader = Loader(data.train, labels, settings.input_size, settings.seed, depth, augment=True)
    validation_loader = Loader(
        data.validation, labels, settings.input_size, settings.seed, depth, augment=False
    )
    optimiser = build_optimiser(model, settings.learning_rate, settings.weight_decay)
    schedule = _schedule(settings, steps=len(loader.batches(0, settings.batch_size, 0)))
    average = MovingAverage(model, settings.ema_decay, schedule)
    checkpoints = Checkpoints(container.checkpoints, _identity(settings, data))
    state = checkpoints.resume(model, average.model, optimiser)
    if state.epoch:
        progress.event("resume", {"after_epoch": state.epoch, "best_map": round(state.best_map, 4)})
    return _Run(
        container=container,
        progress=progress,
        settings=settings,
        data=data,
        device=device,
        model=model,
        pretrained=pretrained,
        loader=loader,
        validation_loader=validation_loader,
        optimiser=optimiser,
        schedule=schedule,
        average=average,
        checkpoints=checkpoints,
        state=state,
        epochs=settings.epochs + _CYCLE_EPOCHS * settings.cycles,
    )


def _build_model(
    container: Container, settings: Hyperparameters, classes: int, progress: Progress
) -> tuple[Detector, dict[str, object] | None]:
    """Return a new detector, and the source and SHA-256 of its weights, if they are not random."""
    model = build(settings.family, classes, settings.input_size)
    model.use_views(settings.views)
    source = container.channel("pretrained") or settings.weights
    if not source:
        return model, None
    report = load_pretrained(model, source)
    progress.event("pretrained", report)
    return model, {name: report[name] for name in ("source", "sha256")}


def _schedule(settings: Hyperparameters, steps: int) -> Schedule:
    """Return the learning rates of a run with so many steps in an epoch."""
    return Schedule(
        settings.learning_rate,
        warm_up=max(1, round(settings.warmup_epochs * steps)),
        total=settings.epochs * steps,
        cycle=_CYCLE_EPOCHS * steps if settings.cycles else 0,
    )


def _identity(settings: Hyperparameters, data: TrainingData) -> str:
    """Return what must be the same for a run to continue from checkpoints; views do not change learning."""
    return json.dumps([settings.model_dump(exclude={"views"}), data.description["snapshot"]], sort_keys=True)


def _train_epochs(training: _Run) -> None:
    """Train until the last epoch, or until patience ends; then load the best weights into the average."""
    settings, state = training.settings, training.state
    workers = settings.workers if settings.workers >= 0 else min(_WORKERS_AT_MOST, max(1, cores() - 1))
    needed = shared_memory_needed(settings.batch_size, settings.input_size, workers)
    if needed > (free := shared_memory_free()):
        training.progress.event("piped", {"needed_mib": needed // 2**20, "free_mib": free // 2**20})
    while state.epoch < training.epochs and not _out_of_patience(settings, state):
        mosaic = _mosaic_share(settings, state.epoch)
        batches = training.loader.batches(state.epoch + 1, settings.batch_size, workers, mosaic)
        result = train_epoch(
            training.model,
            training.average,
            training.optimiser,
            training.schedule,
            batches,
            state.step,
            training.device,
        )
        state.epoch, state.step = state.epoch + 1, result.step
        metrics = {"epoch": state.epoch, "loss": round(result.loss, 4)} | _validate(training)
        state.seconds += result.seconds
        training.checkpoints.save(training.model, training.average.model, training.optimiser, state)
        training.progress.epoch(metrics, _epoch_details(training, result))
    if state.epoch < training.epochs:
        training.progress.event("early_stop", {"epoch": state.epoch, "best_epoch": state.best_epoch})
    training.checkpoints.load_best(training.average.model)


def _out_of_patience(settings: Hyperparameters, state: State) -> bool:
    # A cycle shows its effect at its end only.
    if state.epoch >= settings.epochs:
        return False
    return 0 < settings.patience <= state.epoch - state.best_epoch and state.best_epoch > 0


def _mosaic_share(settings: Hyperparameters, completed_epochs: int) -> float:
    """Return the share of mosaics in the next epoch.

    The last fifth of the epochs before the cycles has none, so that the model also learns from images as they are.
    """
    if _MOSAIC_UNTIL * settings.epochs <= completed_epochs < settings.epochs:
        return 0.0
    return settings.mosaic


def _validate(training: _Run) -> dict[str, float]:
    """Validate the averaged weights if it is time to, and keep them if they are the best so far.

    Returns:
        Their metrics; empty if they were not validated.
    """
    settings, state, model = training.settings, training.state, training.average.model
    is_last = state.epoch == training.epochs
    if settings.refit:
        if is_last:
            state.best_epoch = state.epoch
            training.checkpoints.save_best(model)
        return {}
    if not is_last and state.epoch % settings.validate_every:
        return {}
    data = training.data
    scores = validate(model, data.validation, training.validation_loader, data.train.labels, training.device)
    if scores.map > state.best_map:
        state.best_map, state.best_epoch = scores.map, state.epoch
        training.checkpoints.save_best(model)
    return {"val:map": round(scores.map, 4), "val:map50": round(scores.map50, 4)}


def _epoch_details(training: _Run, result: Epoch) -> dict[str, float]:
    return {
        "epochs": training.epochs,
        "seconds": round(result.seconds, 1),
        "waiting_share": round(result.waiting / max(result.seconds, 1e-9), 3),
        "learning_rate": training.schedule.at(training.state.step),
        "peak_memory_mib": peak_memory_mib(training.device),
    }


def _finish(training: _Run) -> ModelCard:
    """Export the averaged model, and write model.json with what was measured. Returns its content."""
    summary = {
        "seconds": round(training.state.seconds, 1),
        "epochs": training.state.epoch,
        "device": training.device.type,
        "instance_type": training.container.instance_type,
        "on_instance": training.container.on_instance,
        "peak_memory_mib": peak_memory_mib(training.device),
        "tuned": training.settings.tuned,
        "pretrained": training.pretrained,
    }
    card = export_with_card(
        training.average.model.cpu(),
        training.container.model,
        training.settings,
        training.data,
        training.loader,
    )
    card.metrics.update({"best_epoch": training.state.best_epoch, "training": summary})
    card.write(training.container.model)
    training.progress.event("done", {"version": card.version, "box_offset": card.box_offset, **card.metrics})
    return card

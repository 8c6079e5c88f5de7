"""The training loop: one epoch, and the scores after it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from tqdm import tqdm

from training.datasets import Dataset
from training.detectors import Detector, Target
from training.evaluation.detection import for_metrics
from training.evaluation.metrics import Scores, score
from training.job import stopping
from training.job.errors import TrainingError
from training.learning.averaging import MovingAverage
from training.learning.loading import Loader
from training.learning.schedule import Schedule
from training.model.decoding import detections

_LARGEST_GRADIENT = 10.0
_VALIDATION_BATCH = 16


class NonFiniteLossError(TrainingError):
    """The loss is infinite or not a number, so the weights are worthless from this step on."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """The result of one epoch.

    Attributes:
        step: The next global step.
        loss: The mean loss of the batches.
        seconds: Duration of the epoch.
        waiting: Seconds of these spent waiting for data.
    """

    step: int
    loss: float
    seconds: float
    waiting: float


def build_optimiser(model: Detector, learning_rate: float, weight_decay: float) -> AdamW:
    """Return AdamW over all parameters of `model`, with weight decay on matrices and kernels only.

    Biases and the scales of norms are not decayed: they cannot overfit.
    """
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return AdamW(groups, learning_rate, weight_decay=weight_decay)


def train_epoch(
    model: Detector,
    average: MovingAverage,
    optimiser: AdamW,
    schedule: Schedule,
    batches: Iterable[tuple[Tensor, list[Target]]],
    step: int,
    device: torch.device,
) -> Epoch:
    """Train on every batch once.

    Args:
        model: The model to train, on `device`.
        average: The average of its weights, updated after each step.
        optimiser: Of the model's parameters.
        schedule: The learning rate of each global step.
        batches: Images, uint8 [N, size, size, 3], with one target for each image.
        step: The global step to start from.
        device: Where the batches are moved to.

    Raises:
        NonFiniteLossError: The loss of a step is infinite or not a number.
    """
    model.train()
    started, waiting = time.perf_counter(), 0.0
    total, count = 0.0, 0
    length = len(batches) if isinstance(batches, Sized) else None
    supply = iter(batches)
    with tqdm(total=length, disable=not sys.stderr.isatty(), leave=False, unit="batch") as bar:
        while True:
            stopping.check()
            requested = time.perf_counter()
            batch = next(supply, None)
            waiting += time.perf_counter() - requested
            if batch is None:
                break
            total += _train_step(model, optimiser, batch, schedule.at(step), step, device)
            average.update(model, step)
            count, step = count + 1, step + 1
            bar.set_postfix(loss=f"{total / count:.3f}", refresh=False)
            bar.update()
    return Epoch(step, total / max(count, 1), time.perf_counter() - started, waiting)


def _train_step(
    model: Detector,
    optimiser: AdamW,
    batch: tuple[Tensor, list[Target]],
    learning_rate: float,
    step: int,
    device: torch.device,
) -> float:
    """Update the weights once and return the loss."""
    images, targets = batch
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    targets = [Target(target.boxes.to(device), target.classes.to(device)) for target in targets]
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        losses = model.losses(images.to(device, non_blocking=True), targets)
    loss = torch.stack(list(losses.values())).sum()
    value = float(loss.detach())
    if not math.isfinite(value):
        parts = {name: float(part.detach()) for name, part in losses.items()}
        raise NonFiniteLossError(f"the loss is {value} at step {step} ({parts}); lower the learning_rate")
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT)
    optimiser.step()
    return value


@torch.no_grad()
def validate(
    model: Detector, dataset: Dataset, loader: Loader, labels: tuple[str, ...], device: torch.device
) -> Scores:
    """Return the scores of `model` on `dataset`.

    Args:
        model: The model to validate, on `device`.
        dataset: The images with their labelled objects.
        loader: The pixels of the same images, without augmentation.
        labels: The model's labels, in its order.
        device: Where the images are moved to.
    """
    model.eval()
    postprocess = for_metrics(model.postprocess)
    results = []
    for start in range(0, len(loader), _VALIDATION_BATCH):
        indices = range(start, min(start + _VALIDATION_BATCH, len(loader)))
        images = torch.stack([loader.pixels(index) for index in indices])
        boxes, scores = (output.float().cpu().numpy() for output in model(images.to(device)))
        results += [
            detections(image_boxes, image_scores, postprocess)
            for image_boxes, image_scores in zip(boxes, scores, strict=True)
        ]
    return score(dataset, results, labels)

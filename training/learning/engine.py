"""The training loop: one epoch, and the score after it."""

from __future__ import annotations

import copy
import ctypes
import math
import resource
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
from training.job.errors import TrainingError
from training.learning.loading import Loader
from training.model.decoding import detections

_LARGEST_GRADIENT = 10.0
_CYCLES_PEAK = 0.5  # of the learning rate's
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # mallopt's, as malloc.h has them


class NonFiniteLossError(TrainingError):
    """The loss became infinite or not a number: the weights are worthless from here on."""


def optimiser_of(model: Detector, learning_rate: float, weight_decay: float) -> AdamW:
    """AdamW over all of `model`. What only scales or shifts is not decayed: it cannot overfit."""
    matrices = [each for each in model.parameters() if each.ndim > 1]
    vectors = [each for each in model.parameters() if each.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return AdamW(groups, learning_rate, weight_decay=weight_decay)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rate over the whole run, in steps: a linear warm-up, then half a cosine down to 1 %.

    cycle: after `total`, so many steps bring it down again from half the peak, over and over.
    """

    peak: float
    warm_up: int
    total: int
    cycle: int = 0

    def at(self, step: int) -> float:
        """
        >>> [round(Schedule(1.0, 10, 110).at(step), 2) for step in (0, 9, 60, 110)]
        [0.1, 1.0, 0.51, 0.01]
        >>> [round(Schedule(1.0, 10, 110, cycle=20).at(step), 2) for step in (110, 120, 129, 130)]
        [0.5, 0.25, 0.01, 0.5]
        """
        if self.cycle and step >= self.total:
            return _falling(_CYCLES_PEAK * self.peak, (step - self.total) % self.cycle / self.cycle)
        if step < self.warm_up:
            return self.peak * (step + 1) / self.warm_up
        return _falling(self.peak, min(1.0, (step - self.warm_up) / max(1, self.total - self.warm_up)))

    def cycles_ended(self, step: int) -> int | None:
        """How many cycles have ended with `step`; None where it is within one, and 0 before the first."""
        if not self.cycle or step < self.total:
            return 0
        ended, rest = divmod(step + 1 - self.total, self.cycle)
        return None if rest else ended


def _falling(peak: float, progress: float) -> float:
    return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)


class MovingAverage:
    """The exponential moving average of a model's weights: what is validated, kept and exported.

    Where `schedule` has cycles, it becomes the mean of the weights at their ends: stochastic weight averaging, as
    Zhang et al. 2020 do it for detectors (https://arxiv.org/abs/2012.12645).
    """

    def __init__(self, model: Detector, decay: float, schedule: Schedule) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._decay, self._schedule = decay, schedule

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Follows `model`; early steps weigh more, since the first weights are random."""
        ended = self._schedule.cycles_ended(step)
        if ended is None:
            return
        share = 1 / ended if ended else 1 - min(self._decay, (1 + step) / (10 + step))
        for mean, value in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:
                mean.copy_(value)


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch came to: the next global step, the mean loss, seconds, and those spent waiting for data."""

    step: int
    loss: float
    seconds: float
    waiting: float


def train_epoch(
    model: Detector,
    average: MovingAverage,
    optimiser: AdamW,
    schedule: Schedule,
    batches: Iterable[tuple[Tensor, list[Target]]],
    step: int,
    device: torch.device,
) -> Epoch:
    """Trains on every batch once, from global step `step`. Raises NonFiniteLossError."""
    model.train()
    started, waiting = time.perf_counter(), 0.0
    total, count = 0.0, 0
    length = len(batches) if isinstance(batches, Sized) else None
    supply = iter(batches)
    with tqdm(total=length, disable=not sys.stderr.isatty(), leave=False, unit="batch") as bar:
        while True:
            asked = time.perf_counter()
            batch = next(supply, None)
            waiting += time.perf_counter() - asked
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
    """One step down the gradient. Returns the loss."""
    images, targets = batch
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    placed = [Target(each.boxes.to(device), each.classes.to(device)) for each in targets]
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        losses = model.losses(images.to(device, non_blocking=True), placed)
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


def keep_freed_memory() -> None:
    """Lets glibc keep what a step frees: the next step asks for the same again.

    By default each large tensor is a mapping of its own, whose pages the kernel clears anew at every step.
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):  # musl has none
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def peak_memory_mib(device: torch.device) -> int:
    """The most memory held so far, in MiB: of the GPU where there is one, else of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device)) // 2**20
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used // (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux KiB


@torch.no_grad()
def validate(
    model: Detector, dataset: Dataset, loader: Loader, labels: tuple[str, ...], device: torch.device
) -> Scores:
    """The scores of `model` on `dataset`, whose pixels `loader` holds."""
    model.eval()
    how = for_metrics(model.postprocess)
    found = []
    for start in range(0, len(loader), 16):
        images = torch.stack([loader.pixels(i) for i in range(start, min(start + 16, len(loader)))])
        boxes, scores = (output.float().cpu().numpy() for output in model(images.to(device)))
        found += [detections(b, s, how) for b, s in zip(boxes, scores, strict=True)]
    return score(dataset, found, labels)

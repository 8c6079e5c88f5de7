"""The moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from training.detectors import Detector
from training.learning.schedule import Schedule


class MovingAverage:
    """The exponential moving average of a model's weights: it is validated, kept and exported.

    If the schedule has cycles, the average becomes the mean of the weights at the ends of the cycles: stochastic
    weight averaging, as Zhang et al. 2020 do it for detectors (https://arxiv.org/abs/2012.12645).

    Attributes:
        model: The averaged model, in evaluation mode.
    """

    def __init__(self, model: Detector, decay: float, schedule: Schedule) -> None:
        """Start from the weights of `model`.

        Args:
            model: The model that is trained, on its device.
            decay: Weight of the old average in each step, once the warm-up of the decay is over.
            schedule: Of the learning rate; its cycles decide when the mean is taken.
        """
        self._decay, self._schedule, self._step = decay, schedule, 0
        self._averaged = AveragedModel(model, multi_avg_fn=self._average, use_buffers=True)
        # At 0 AveragedModel would copy the model in the first update, and again after each restart.
        self._averaged.n_averaged.fill_(1)
        self.model = cast(Detector, self._averaged.module).eval().requires_grad_(False)

    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards `model` after global step `step`; within a cycle the average stays as it is."""
        if self._schedule.cycles_ended(step) is not None:
            self._step = step
            self._averaged.update_parameters(model)

    def _average(self, averages: Sequence[Tensor], values: Sequence[Tensor], updates: Tensor | int) -> None:
        """Update the averages of one device and type in place."""
        if not averages[0].is_floating_point():  # counters of batches, and indices
            for average, value in zip(averages, values, strict=True):
                average.copy_(value)
            return
        if cycles := self._schedule.cycles_ended(self._step):
            average_in_place = get_swa_multi_avg_fn()  # type: ignore[no-untyped-call]
            average_in_place(averages, values, cycles - 1)
        else:
            average_in_place = get_ema_multi_avg_fn(self._decay_at(self._step))  # type: ignore[no-untyped-call]
            average_in_place(averages, values, updates)

    def _decay_at(self, step: int) -> float:
        """Return the decay of `step`: the first steps count more, since the first weights are random."""
        return min(self._decay, (1 + step) / (10 + step))

"""The learning rate of a training run, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass

_CYCLES_PEAK = 0.5  # of the learning rate's
_FLOOR = 0.01  # of the peak, at the end of the cosine


@dataclass(frozen=True, slots=True)
class Schedule:
    """The learning rate of each step: a linear warm-up, then half a cosine down to 1 % of the peak.

    Attributes:
        peak: The highest learning rate.
        warm_up: Steps of the linear warm-up.
        total: Steps until the cosine ends, warm-up included.
        cycle: Steps of a cycle. After `total`, the rate falls again from half the peak in each cycle. 0: no cycles.
    """

    peak: float
    warm_up: int
    total: int
    cycle: int = 0

    def at(self, step: int) -> float:
        """Return the learning rate of `step`, counted from 0.

        >>> [round(Schedule(1.0, 10, 110).at(step), 2) for step in (0, 9, 60, 110)]
        [0.1, 1.0, 0.51, 0.01]
        >>> [round(Schedule(1.0, 10, 110, cycle=20).at(step), 2) for step in (110, 120, 129, 130)]
        [0.5, 0.25, 0.01, 0.5]
        """
        if self.cycle and step >= self.total:
            return _cosine(_CYCLES_PEAK * self.peak, (step - self.total) % self.cycle / self.cycle)
        if step < self.warm_up:
            return self.peak * (step + 1) / self.warm_up
        return _cosine(self.peak, min(1.0, (step - self.warm_up) / max(1, self.total - self.warm_up)))

    def cycles_ended(self, step: int) -> int | None:
        """Return how many cycles have ended with `step`: 0 before the first cycle, None within a cycle."""
        if not self.cycle or step < self.total:
            return 0
        ended, rest = divmod(step + 1 - self.total, self.cycle)
        return None if rest else ended


def _cosine(peak: float, progress: float) -> float:
    return peak * (_FLOOR + (1 - _FLOOR) * (1 + math.cos(math.pi * progress)) / 2)

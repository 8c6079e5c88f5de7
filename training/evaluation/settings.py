"""The hyperparameters of an evaluation job."""

from __future__ import annotations

from pydantic import Field

from training.evaluation.options import ESCAPE_RATE, OVERKILL_RATE, Rates
from training.job.hyperparameters import JobHyperparameters


class Settings(JobHyperparameters):
    """Hyperparameters of an evaluation job; an evaluation by hand has options of the same names."""

    split: str = "test"
    escape_rate: float = Field(ESCAPE_RATE, ge=0, lt=1)
    overkill_rate: float = Field(OVERKILL_RATE, ge=0, lt=1)

    @property
    def rates(self) -> Rates:
        """What the operating points are for."""
        return Rates(self.escape_rate, self.overkill_rate)

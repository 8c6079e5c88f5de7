"""The hyperparameters of an evaluation job."""

from __future__ import annotations

from pydantic import Field

from training.evaluation.options import ESCAPE_RATE
from training.job.hyperparameters import JobHyperparameters


class Settings(JobHyperparameters):
    """Hyperparameters of an evaluation job; an evaluation by hand has options of the same names."""

    split: str = "test"
    escape_rate: float = Field(ESCAPE_RATE, ge=0, lt=1)

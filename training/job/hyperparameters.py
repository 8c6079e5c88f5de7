"""Hyperparameters of a job: strings on their way in, a typed and bounded model inside.

Only `train` and `evaluate` import this module: the serving image has no pydantic.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from training.job.container import in_a_job
from training.job.errors import TrainingError

Model = TypeVar("Model", bound="JobHyperparameters")

# SageMaker's toolkits and its tuning add names such as sagemaker_program and _tuning_objective_metric.
_ADDED_BY_SAGEMAKER = ("sagemaker_", "_tuning_")


class HyperparameterError(TrainingError):
    """A hyperparameter is unknown, not of its type, out of its bounds, or does not go with another one."""


class JobHyperparameters(BaseModel):
    """The base of a job's hyperparameters; each field needs a default, since a job may set none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(
    model: type[Model], values: Mapping[str, str], called: Callable[[str, str], str] = in_a_job
) -> Model:
    """Read hyperparameters, which SageMaker passes as strings.

    Args:
        model: The hyperparameters that the job knows.
        values: The value of each hyperparameter that is set. Names that SageMaker adds are ignored.
        called: Returns how an error names a hyperparameter and its value.

    Raises:
        HyperparameterError: A name is unknown, or a value is wrong. The message gives the name.
    """
    own = {name: value for name, value in values.items() if not name.startswith(_ADDED_BY_SAGEMAKER)}
    known = model.model_fields
    for name, value in own.items():
        if name not in known:
            similar = difflib.get_close_matches(name, known, 1)
            meant = f", did you mean {similar[0]}?" if similar else ";"
            raise HyperparameterError(f"{called(name, value)} is unknown{meant} known are {', '.join(known)}")
    try:
        return model.model_validate_strings(own)
    except ValidationError as error:
        reasons = []
        for part in error.errors():
            name = ".".join(map(str, part["loc"]))
            # A rule about several hyperparameters names them itself.
            reasons.append(f"{called(name, own[name])}: {_reason(part['msg'])}" if name else part["msg"])
        raise HyperparameterError("; ".join(reasons)) from error


def _reason(message: str) -> str:
    """Return pydantic's message without what only concerns its parser."""
    return message.replace("Input should be", "must be").partition(", unable to")[0]

"""Hyperparameters of a job: strings on their way in, a typed and bounded model inside.

Only `train` and `evaluate` import this module: the serving image has no pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from training.job.errors import TrainingError

Model = TypeVar("Model", bound="JobHyperparameters")

# SageMaker's toolkits and its tuning add names such as sagemaker_program and _tuning_objective_metric.
_ADDED_BY_SAGEMAKER = ("sagemaker_", "_tuning_")


class HyperparameterError(TrainingError):
    """A hyperparameter is unknown, not of its type, out of its bounds, or does not go with another one."""


class JobHyperparameters(BaseModel):
    """The base of a job's hyperparameters; each field needs a default, since a job may set none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(model: type[Model], values: Mapping[str, str]) -> Model:
    """Read hyperparameters, which SageMaker passes as strings.

    Args:
        model: The hyperparameters that the job knows.
        values: The value of each hyperparameter that is set. Names that SageMaker adds are ignored.

    Raises:
        HyperparameterError: A name is unknown, or a value is wrong. The message gives the name.
    """
    own = {name: value for name, value in values.items() if not name.startswith(_ADDED_BY_SAGEMAKER)}
    known = model.model_fields
    for name in own:
        if name not in known:
            raise HyperparameterError(f"unknown hyperparameter {name!r}; known are {', '.join(known)}")
    try:
        return model.model_validate_strings(own)
    except ValidationError as error:
        reasons = [_reason(".".join(map(str, part["loc"])), part["msg"], own) for part in error.errors()]
        raise HyperparameterError("; ".join(reasons)) from error


def _reason(name: str, message: str, values: Mapping[str, str]) -> str:
    """Return the message with the field's name; a rule about several fields names them itself."""
    return f"hyperparameter {name}={values[name]!r}: {message}" if name else message

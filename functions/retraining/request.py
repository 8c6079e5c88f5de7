"""What an execution is asked for: its input, checked."""

from __future__ import annotations

import json
from importlib import resources
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from retraining.errors import InvalidRequestError

FAMILIES: dict[str, dict[str, Any]] = json.loads(
    resources.files("retraining").joinpath("families.json").read_text()
)
_OURS = ("family", "name", "tuned")  # hyperparameters that the plan sets

# SageMaker's limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
_Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern="^.*$")]
_Value = Annotated[str, StringConstraints(max_length=2500, pattern="^.*$")]


class Request(BaseModel):
    """The execution's input; every field has a default, so `{}` is a whole request.

    families: empty for the stack's own (parameter RetrainFamilies). tuning_jobs, approval: None for the stack's.
    hyperparameters: for every job; they win over the families' own and are not tuned.
    minimum_new_labels: images labelled anew since the last run, below which nothing is trained.
    force: train also where data and settings are those of the last run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    families: list[str] = Field(default_factory=list)
    tune: bool = False
    tuning_jobs: int | None = Field(None, ge=1, le=100)
    hyperparameters: dict[_Name, _Value] = Field(default_factory=dict, max_length=90)
    minimum_new_labels: int = Field(0, ge=0)
    approval: bool | None = None
    force: bool = False
    trigger: Literal["manual", "schedule", "labels"] = "manual"

    @field_validator("families")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        if unknown := [name for name in names if name not in FAMILIES]:
            raise ValueError(f"unknown family {unknown[0]!r}; known are {', '.join(FAMILIES)}")
        return list(dict.fromkeys(names))

    @field_validator("hyperparameters")
    @classmethod
    def _free(cls, given: dict[str, str]) -> dict[str, str]:
        if taken := [name for name in _OURS if name in given]:
            raise ValueError(f"the run itself sets {taken[0]}")
        return given

    @classmethod
    def read(cls, given: dict[str, Any]) -> Self:
        """Raises InvalidRequestError, naming each field that is wrong."""
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, each['loc'])) or 'input'}: {each['msg']}" for each in error.errors()
            )
            raise InvalidRequestError(f"the input of the execution is not in order: {wrong}") from error

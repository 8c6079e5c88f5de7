"""The input of an execution, checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from contract.keys import DATASET_NAME_RULE, is_dataset_name
from retraining.errors import InvalidRequestError
from retraining.families import FAMILIES

_SET_BY_THE_RUN = ("family", "name", "tuned")

# SageMaker's limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
_Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern="^.*$")]
_Value = Annotated[str, StringConstraints(max_length=2500, pattern="^.*$")]


class Request(BaseModel):
    """The input of an execution. Every field has a default, so `{}` is a complete request.

    Attributes:
        dataset: The data set to train on. None for the stack's own (parameter DatasetName).
        families: Empty for the stack's own (parameter RetrainFamilies).
        tune: Whether to tune the hyperparameters of each family, besides the plain training.
        tuning_jobs: Trainings of each tuning job. None for the stack's number.
        hyperparameters: For every job. They take precedence over a family's defaults, and are not tuned.
        minimum_new_labels: Train only if at least this many images were labelled since the last run.
        approval: Whether a person must approve. None for the stack's setting.
        force: Train even if data and settings are those of the last run.
        trigger: What started the execution.
        serve: Train nothing, but let this registered version serve again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str | None = None
    families: list[str] = Field(default_factory=list)
    tune: bool = False
    tuning_jobs: int | None = Field(None, ge=1, le=100)
    hyperparameters: dict[_Name, _Value] = Field(default_factory=dict, max_length=90)
    minimum_new_labels: int = Field(0, ge=0)
    approval: bool | None = None
    force: bool = False
    trigger: Literal["manual", "schedule", "labels"] = "manual"
    serve: int | None = Field(None, ge=1)

    @field_validator("dataset")
    @classmethod
    def _is_name(cls, name: str | None) -> str | None:
        if name is not None and not is_dataset_name(name):
            raise ValueError(f"{name!r} is not a name for a data set: use {DATASET_NAME_RULE}")
        return name

    @field_validator("families")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        if unknown := [name for name in names if name not in FAMILIES]:
            raise ValueError(f"unknown family {unknown[0]!r}; known are {', '.join(FAMILIES)}")
        return list(dict.fromkeys(names))

    @field_validator("hyperparameters")
    @classmethod
    def _not_set_by_the_run(cls, hyperparameters: dict[str, str]) -> dict[str, str]:
        if reserved := [name for name in _SET_BY_THE_RUN if name in hyperparameters]:
            raise ValueError(f"the run itself sets {reserved[0]}")
        return hyperparameters

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """Check the input of an execution.

        Raises:
            InvalidRequestError: Fields are not valid. The message names each of them.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, problem['loc'])) or 'input'}: {problem['msg']}"
                for problem in error.errors()
            )
            raise InvalidRequestError(f"the input of the execution is not valid: {problems}") from error

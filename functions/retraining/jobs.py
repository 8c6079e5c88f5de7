"""Jobs by deterministic names: one that was done is found again, one that failed gets the next name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

_UNKNOWN = ("ValidationException", "ResourceNotFound", "ResourceNotFoundException")


@dataclass(frozen=True)
class Found:
    """A job's name to use: one that is done, with its description, or one that is free."""

    name: str
    done: dict[str, Any] | None = None


@dataclass(frozen=True)
class Jobs:
    """SageMaker's training, tuning and processing jobs."""

    sagemaker: SageMakerClient

    def training(self, name: str) -> Found:
        client = self.sagemaker
        return _find("TrainingJob", name, client.describe_training_job, client.stop_training_job)

    def tuning(self, name: str) -> Found:
        client = self.sagemaker
        return _find(
            "HyperParameterTuningJob",
            name,
            client.describe_hyper_parameter_tuning_job,
            client.stop_hyper_parameter_tuning_job,
            "BestTrainingJob",
        )

    def processing(self, name: str) -> Found:
        client = self.sagemaker
        return _find("ProcessingJob", name, client.describe_processing_job, client.stop_processing_job)


def _find(
    kind: str, name: str, describe: Callable[..., Any], stop: Callable[..., Any], result: str | None = None
) -> Found:
    """result: the member without which a Completed job is of no use."""
    attempt, each = 1, name
    while True:
        try:
            found = dict(describe(**{f"{kind}Name": each}))
        except ClientError as error:
            if error.response["Error"]["Code"] in _UNKNOWN:
                return Found(each)
            raise
        status = found[f"{kind}Status"]
        if status == "Completed" and (result is None or found.get(result)):
            return Found(each, found)
        if status == "InProgress":  # of an execution that is gone, since one runs at a time
            stop(**{f"{kind}Name": each})
        attempt += 1
        each = f"{name}-{attempt}"

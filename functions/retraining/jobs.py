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
        return self._find(
            name,
            lambda n: dict(client.describe_training_job(TrainingJobName=n)),
            "TrainingJobStatus",
            lambda n: client.stop_training_job(TrainingJobName=n),
        )

    def tuning(self, name: str) -> Found:
        client = self.sagemaker
        return self._find(
            name,
            lambda n: dict(client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=n)),
            "HyperParameterTuningJobStatus",
            lambda n: client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=n),
            "BestTrainingJob",
        )

    def processing(self, name: str) -> Found:
        client = self.sagemaker
        return self._find(
            name,
            lambda n: dict(client.describe_processing_job(ProcessingJobName=n)),
            "ProcessingJobStatus",
            lambda n: client.stop_processing_job(ProcessingJobName=n),
        )

    def _find(
        self,
        name: str,
        describe: Callable[[str], dict[str, Any]],
        status: str,
        stop: Callable[[str], object],
        result: str | None = None,
    ) -> Found:
        attempt, each = 1, name
        while True:
            try:
                found = describe(each)
            except ClientError as error:
                if error.response["Error"]["Code"] in _UNKNOWN:
                    return Found(each)
                raise
            if found[status] == "Completed" and (result is None or found.get(result)):
                return Found(each, found)
            if found[status] == "InProgress":  # of an execution that is gone, since one runs at a time
                stop(each)
            attempt += 1
            each = f"{name}-{attempt}"

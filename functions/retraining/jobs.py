"""Look-up of jobs by deterministic names: a completed job is found again, a failed one gets the next name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

Usable = Callable[[dict[str, Any]], bool]
_NOT_FOUND = ("ValidationException", "ResourceNotFound", "ResourceNotFoundException")


@dataclass(frozen=True)
class Job:
    """A job, by the name to use.

    Attributes:
        name: The name of the completed job, or a name that is free.
        completed: SageMaker's description of the completed job. None if the job has yet to run.
    """

    name: str
    completed: dict[str, Any] | None = None


@dataclass(frozen=True)
class Jobs:
    """SageMaker's training, tuning and processing jobs.

    Each method returns the completed job of a name, or the next name that is free: `name`, `name-2`, `name-3`, ...
    It stops a job of these names that is still running. That job belongs to an execution that has ended, because
    only one execution runs at a time. A completed job that is not `usable` counts as failed.
    """

    sagemaker: SageMakerClient

    def training(self, name: str, usable: Usable = lambda description: True) -> Job:
        client = self.sagemaker
        return _find("TrainingJob", name, client.describe_training_job, client.stop_training_job, usable)

    def tuning(self, name: str, usable: Usable = lambda description: True) -> Job:
        client = self.sagemaker
        return _find(
            "HyperParameterTuningJob",
            name,
            client.describe_hyper_parameter_tuning_job,
            client.stop_hyper_parameter_tuning_job,
            lambda description: bool(description.get("BestTrainingJob")) and usable(description),
        )

    def processing(self, name: str, usable: Usable = lambda description: True) -> Job:
        client = self.sagemaker
        return _find(
            "ProcessingJob", name, client.describe_processing_job, client.stop_processing_job, usable
        )

    def artefact(self, training_job: str) -> str:
        """Return the S3 URI of the model of a training job that has completed."""
        description = self.sagemaker.describe_training_job(TrainingJobName=training_job)
        return description["ModelArtifacts"]["S3ModelArtifacts"]


def _find(
    kind: str, base: str, describe: Callable[..., Any], stop: Callable[..., Any], usable: Usable
) -> Job:
    """Describe one name after the other. usable: tells from its description whether a completed job is of use."""
    attempt, name = 1, base
    while True:
        try:
            description = dict(describe(**{f"{kind}Name": name}))
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_FOUND:
                return Job(name)
            raise
        status = description[f"{kind}Status"]
        if status == "Completed" and usable(description):
            return Job(name, description)
        if status == "InProgress":
            stop(**{f"{kind}Name": name})
        attempt += 1
        name = f"{base}-{attempt}"

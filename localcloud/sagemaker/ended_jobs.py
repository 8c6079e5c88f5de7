"""Deletes the records of jobs that have ended.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteTrainingJob.html
"""

from functools import partial
from typing import Any

from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.resources import Operation, Resources

_KINDS = {
    "TrainingJob": "training job",
    "ProcessingJob": "processing job",
    "HyperParameterTuningJob": "hyperparameter tuning job",
}
_ENDED = ("Completed", "Failed", "Stopped")


class EndedJobs:
    """The Delete operations of jobs; what a job has written into S3 and its logs stay."""

    def __init__(self, resources: Resources) -> None:
        """Initialize the operations.

        Args:
            resources: The records of every kind.
        """
        self._resources = resources

    def operations(self) -> dict[str, Operation]:
        """Return the operations by name."""
        return {f"Delete{kind}": partial(self._delete, kind) for kind in _KINDS}

    def _delete(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        name = request[f"{kind}Name"]
        status = self._resources.get(kind, name)[f"{kind}Status"]
        if status not in _ENDED:
            raise invalid(f"The request was rejected because the {_KINDS[kind]} is in status {status}.")
        return self._resources.delete(kind, name)

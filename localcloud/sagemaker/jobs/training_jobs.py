"""The API's operations on training jobs."""

from typing import Any

from localcloud.sagemaker import descriptions, refusals
from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.jobs import training_requests
from localcloud.sagemaker.jobs.program_job import remove_leftovers
from localcloud.sagemaker.jobs.queue import JobQueue
from localcloud.sagemaker.jobs.training_job import TrainingJob
from localcloud.sagemaker.jobs.training_records import KIND, TrainingRecords
from localcloud.sagemaker.quotas import Quotas
from localcloud.sagemaker.resources import Operation
from localcloud.sagemaker.storage import StorageError, check_readable

_DEFAULT_MAX_RUNTIME_S = 86_400


class TrainingJobs:
    """Creates, stops, describes and lists training jobs.

    Attributes:
        records: The jobs' records.
    """

    def __init__(self, records: TrainingRecords, queue: JobQueue, quotas: Quotas) -> None:
        self.records, self._queue, self._quotas = records, queue, quotas

    def operations(self) -> dict[str, Operation]:
        """Return the operations by name."""
        return {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": lambda request: descriptions.training_job(
                self.records.get(request["TrainingJobName"])
            ),
            "StopTrainingJob": lambda request: self.stop(request["TrainingJobName"]),
            "ListTrainingJobs": lambda request: self.records.resources.list_page(KIND, request),
        }

    def create(self, request: dict[str, Any], counted: bool = False, **members: Any) -> dict[str, str]:
        """Check a request, and create and queue the job.

        Args:
            request: The parameters of CreateTrainingJob.
            counted: Whether its instances were compared with the quota before, with those of its tuning job.
            **members: Further members of the job's record.

        Returns:
            The answer of CreateTrainingJob.

        Raises:
            AwsError: ValidationException for a request that cannot be accepted; ResourceInUse, if the name is taken;
                ResourceLimitExceeded, if the quota is too small.
        """
        self.check(request)
        name, role = request["TrainingJobName"], request["RoleArn"]
        self.records.resources.check_name_free(KIND, name)
        for channel in request.get("InputDataConfig", []):
            source = channel["DataSource"]["S3DataSource"]
            try:
                check_readable(self.records.machine.roles.client("s3", role), source["S3Uri"], role)
            except StorageError as error:
                raise invalid(str(error)) from error
        condition = {"MaxRuntimeInSeconds": _DEFAULT_MAX_RUNTIME_S} | request.get("StoppingCondition", {})
        with self._quotas.lock:
            if not counted:
                self._quotas.check_training(request)
            self.records.series_file(name).unlink(missing_ok=True)
            created = self.records.create(request | {"StoppingCondition": condition}, **members)
        self._submit(name)
        return created

    def check(self, request: dict[str, Any]) -> None:
        """Check a request beyond its shape, without its input data.

        Raises:
            AwsError: ValidationException, if the request cannot be accepted.
        """
        machine, role = self.records.machine, request["RoleArn"]
        refusals.check_training(request, machine.roles.account)
        training_requests.check(request, machine.repo)
        machine.roles.environment(role)
        machine.images.check_job(request["AlgorithmSpecification"].get("TrainingImage", ""), role)

    def stop(self, name: str) -> dict[str, Any]:
        """Stop a job.

        Returns:
            The answer of StopTrainingJob, which is empty.

        Raises:
            AwsError: ValidationException, if there is no such job or it has ended.
        """
        record = self.records.request_stop(name)
        self._queue.stop(record["TrainingJobArn"])
        return {}

    def resume(self) -> None:
        """Start the unfinished jobs of an earlier run of the cloud again."""
        records = self.records.all()
        unfinished = [
            record["TrainingJobName"] for record in records if record["TrainingJobStatus"] == "InProgress"
        ]
        remove_leftovers(self.records.folder, unfinished)
        for record in records:
            if record["TrainingJobStatus"] == "Stopping":
                TrainingJob(self.records, record).mark_stopped()
        for name in unfinished:
            if self.records.get(name)["SecondaryStatus"] != "Pending":
                for step in ("Interrupted", "Restarting"):
                    self.records.enter_step(name, step)
            self._submit(name)

    def _submit(self, name: str) -> None:
        record = self.records.get(name)
        self._queue.submit(record["TrainingJobArn"], TrainingJob(self.records, record))

"""Transform jobs: a model's server judges every object under a prefix, and the answers are stored beside.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html
"""

import secrets
import time
from pathlib import Path
from typing import Any

from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.hosting.models import Models
from localcloud.sagemaker.jobs.program_job import remove_leftovers
from localcloud.sagemaker.jobs.queue import JobQueue
from localcloud.sagemaker.programs import Machine
from localcloud.sagemaker.quotas import Quotas
from localcloud.sagemaker.resources import Operation, Resources
from localcloud.sagemaker.storage import StorageError, check_readable
from localcloud.sagemaker.store import Record
from localcloud.sagemaker.transform import requests
from localcloud.sagemaker.transform.transform_job import KIND, TransformJob


class TransformJobs:
    """Creates, stops, describes and lists transform jobs. AWS has no operation that deletes one."""

    def __init__(
        self,
        resources: Resources,
        models: Models,
        queue: JobQueue,
        quotas: Quotas,
        folder: Path,
        machine: Machine,
    ) -> None:
        """Initialize the operations.

        Args:
            resources: The records of every kind.
            models: Tells what a job's container is.
            queue: Runs the jobs.
            quotas: How many instances may run.
            folder: Contains a folder for each running job.
            machine: What every program shares.
        """
        self._resources, self._models, self._queue, self._quotas = resources, models, queue, quotas
        self._folder, self._machine = folder, machine

    def operations(self) -> dict[str, Operation]:
        """Return the operations by name."""
        return {
            "CreateTransformJob": self._create,
            "DescribeTransformJob": lambda request: self._resources.get(KIND, request["TransformJobName"]),
            "StopTransformJob": lambda request: self._stop(request["TransformJobName"]),
            "ListTransformJobs": lambda request: self._resources.list_page(KIND, request),
        }

    def resume(self) -> None:
        """Start the unfinished jobs of an earlier run of the cloud again; they send what has no output yet."""
        records = sorted(self._resources.store.all(KIND), key=lambda record: record["CreationTime"])
        running = [record for record in records if record["TransformJobStatus"] == "InProgress"]
        remove_leftovers(self._folder, {record["TransformJobName"] for record in running})
        for record in records:
            if record["TransformJobStatus"] == "Stopping":
                self._job(record).mark_stopped()
        for record in running:
            self._submit(record["TransformJobName"])

    def _create(self, request: dict[str, Any]) -> dict[str, str]:
        requests.check(request)
        # The model may be deleted while the job runs.
        container = self._models.container(request["ModelName"])
        self._check_input(request, container["role"])
        name = request["TransformJobName"]
        with self._quotas.lock:
            self._resources.check_name_free(KIND, name)
            self._quotas.check_transform(request)
            created = self._resources.create(
                KIND,
                requests.completed(request),
                TransformJobStatus="InProgress",
                container=container,
                log_stream=f"{name}/i-{secrets.token_hex(9)[:17]}-{int(time.time())}",
            )
        self._submit(name)
        return created

    def _check_input(self, request: dict[str, Any], role: str) -> None:
        """Check that there is something to judge; aws/amazon-sagemaker-examples#2414 has the message."""
        try:
            check_readable(
                self._machine.roles.client("s3", role),
                request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"],
                role,
            )
        except StorageError as error:
            raise invalid(str(error)) from error

    def _stop(self, name: str) -> dict[str, Any]:
        self._resources.store.change_if(
            KIND, name, "TransformJobStatus", "InProgress", TransformJobStatus="Stopping"
        )
        record = self._resources.get(KIND, name)
        status = record["TransformJobStatus"]
        if status != "Stopping":
            raise invalid(f"The request was rejected because the transform job is in status {status}.")
        self._queue.stop(record["TransformJobArn"])
        return {}

    def _submit(self, name: str) -> None:
        record = self._resources.get(KIND, name)
        self._queue.submit(record["TransformJobArn"], self._job(record))

    def _job(self, record: Record) -> TransformJob:
        return TransformJob(self._resources, self._folder, self._machine, record)

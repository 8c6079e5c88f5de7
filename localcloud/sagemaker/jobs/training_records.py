"""The records of training jobs: their steps, and every value of their metrics."""

import threading
import time
from pathlib import Path
from typing import Any

from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.jobs.metrics import read_series
from localcloud.sagemaker.programs import Machine
from localcloud.sagemaker.resources import Resources
from localcloud.sagemaker.services import RecordMetric
from localcloud.sagemaker.storage import CancelledError
from localcloud.sagemaker.store import Record

KIND = "TrainingJob"
# The message of each step, in AWS's words.
_MESSAGES = {
    "Pending": "Waiting for a free slot on this machine",
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job exceeded MaxWaitTimeInSeconds provided",
    "Interrupted": "The local cloud ended meanwhile",
    "Restarting": "Starting again from the checkpoints",
}


class TrainingRecords:
    """What the API's operations and the runs of the program both read and write.

    Attributes:
        resources: The records of every kind.
        folder: Contains a folder for each running job.
        machine: What every program shares.
        record_metric: Receives every value of a metric for CloudWatch.
    """

    def __init__(
        self, resources: Resources, folder: Path, machine: Machine, record_metric: RecordMetric
    ) -> None:
        self.resources, self.folder = resources, folder
        self.machine, self.record_metric = machine, record_metric
        self._lock = threading.Lock()  # for a record's steps

    def get(self, name: str) -> Record:
        """Return a job's record.

        Raises:
            AwsError: ValidationException, if there is none.
        """
        return self.resources.get(KIND, name)

    def all(self) -> list[Record]:
        """Return every record, the oldest first."""
        return sorted(self.resources.store.all(KIND), key=lambda record: record["CreationTime"])

    def create(self, request: dict[str, Any], **members: Any) -> dict[str, str]:
        """Create the record of a job that waits for a slot.

        Args:
            request: The parameters of CreateTrainingJob.
            **members: Further members of the record.

        Returns:
            The answer of CreateTrainingJob.

        Raises:
            AwsError: ResourceInUse, if the name is taken.
        """
        name = request["TrainingJobName"]
        return self.resources.create(
            KIND,
            request,
            TrainingJobStatus="InProgress",
            SecondaryStatus="Pending",
            SecondaryStatusTransitions=[_step("Pending")],
            ModelArtifacts={"S3ModelArtifacts": ""},
            log_stream=f"{name}/algo-1-{int(time.time())}",
            **members,
        )

    def change(self, name: str, **members: Any) -> None:
        """Set some members of a job's record."""
        self.resources.store.change(KIND, name, **members)

    def enter_step(self, name: str, secondary_status: str, **members: Any) -> None:
        """Set a job's secondary status, and some members with it."""
        with self._lock:
            self._enter_step(name, secondary_status, **members)

    def enter_step_unless_stopping(
        self, stopping: threading.Event, name: str, secondary_status: str, **members: Any
    ) -> None:
        """Set a job's secondary status unless the job must stop.

        Raises:
            CancelledError: If it must.
        """
        with self._lock:
            if stopping.is_set() or self.get(name)["TrainingJobStatus"] == "Stopping":
                raise CancelledError
            self._enter_step(name, secondary_status, **members)

    def request_stop(self, name: str) -> Record:
        """Set a job's status to Stopping, and return the record as it was before.

        Raises:
            AwsError: ValidationException, if there is no such job or it has ended.
        """
        with self._lock:
            record = self.get(name)
            status = record["TrainingJobStatus"]
            if status == "InProgress":
                self._enter_step(name, "Stopping", TrainingJobStatus="Stopping")
            elif status != "Stopping":
                raise invalid(f"The request was rejected because the training job is in status {status}.")
        return record

    def series_file(self, name: str) -> Path:
        """Return the file with every value of a job's metrics."""
        return self.machine.logs / f"training-job-{name}.jsonl"

    def metric_values(self, name: str, metric: str) -> list[float]:
        """Return every value of a metric of a job so far."""
        series = read_series(self.series_file(name))
        return [value for _, metric_name, value in series if metric_name == metric]

    def final_metrics(self, name: str) -> list[dict[str, Any]]:
        """Return the last value of each of a job's metrics, as FinalMetricDataList."""
        last = {
            metric: (timestamp, value) for timestamp, metric, value in read_series(self.series_file(name))
        }
        return [
            {"MetricName": metric, "Value": value, "Timestamp": timestamp}
            for metric, (timestamp, value) in last.items()
        ]

    def _enter_step(self, name: str, secondary_status: str, **members: Any) -> None:
        steps = [dict(step) for step in self.get(name)["SecondaryStatusTransitions"]]
        new = _step(secondary_status)
        steps[-1]["EndTime"] = new["StartTime"]
        if "TrainingEndTime" in members:
            new["EndTime"] = new["StartTime"]
        self.change(
            name,
            SecondaryStatus=secondary_status,
            SecondaryStatusTransitions=[*steps, new],
            LastModifiedTime=new["StartTime"],
            **members,
        )


def _step(secondary_status: str) -> dict[str, Any]:
    message = _MESSAGES[secondary_status]
    return {"Status": secondary_status, "StartTime": time.time(), "StatusMessage": message}

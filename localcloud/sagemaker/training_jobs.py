"""Training jobs: CreateTrainingJob and its kin, each job the container's `train` program."""

import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.sagemaker import programs
from localcloud.sagemaker.errors import invalid
from localcloud.sagemaker.job_logs import Measure, series
from localcloud.sagemaker.jobs import Jobs, remove_leftovers
from localcloud.sagemaker.resources import Operation, Resources
from localcloud.sagemaker.storage import CancelledError, StorageError, check
from localcloud.sagemaker.training_job import KIND, TrainingJob

if TYPE_CHECKING:  # its import brings MiniStack's
    from localcloud.sagemaker.roles import Roles

_MAX_RUNTIME_S = 86_400
# What is said of each step, in AWS's words.
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


class TrainingJobs:
    """The records and their jobs."""

    def __init__(
        self,
        resources: Resources,
        jobs: Jobs,
        folder: Path,
        logs: Path,
        repo: Path,
        roles: "Roles",
        measure: Measure,
    ) -> None:
        self.resources, self.jobs, self.folder, self.logs = resources, jobs, folder, logs
        self.repo, self.roles, self.measure = repo, roles, measure
        self._lock = threading.Lock()  # over a record's steps

    def operations(self) -> dict[str, Operation]:
        """By name."""
        return {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": lambda request: self.resources.found(KIND, request["TrainingJobName"]),
            "StopTrainingJob": lambda request: self.stop(request["TrainingJobName"]),
            "ListTrainingJobs": lambda request: self.resources.page(KIND, request),
        }

    def create(self, request: dict[str, Any], **members: Any) -> dict[str, str]:
        """Check, keep and queue a job; `members` are further ones of the record. Raises AwsError."""
        self.check(request)
        name = request["TrainingJobName"]
        self.resources.free(KIND, name)
        for channel in request.get("InputDataConfig", []):
            source = channel["DataSource"]["S3DataSource"]
            try:
                check(self.roles.client("s3", request["RoleArn"]), source["S3Uri"], request["RoleArn"])
            except StorageError as error:
                raise invalid(str(error)) from error
        self.series_file(name).unlink(missing_ok=True)
        stopping = {"MaxRuntimeInSeconds": _MAX_RUNTIME_S} | request.get("StoppingCondition", {})
        created = self.resources.add(
            KIND,
            request | {"StoppingCondition": stopping},
            TrainingJobStatus="InProgress",
            SecondaryStatus="Pending",
            SecondaryStatusTransitions=[_step("Pending")],
            ModelArtifacts={"S3ModelArtifacts": ""},
            log_stream=f"{name}/algo-1-{int(time.time())}",
            **members,
        )
        self._submit(name)
        return created

    def check(self, request: dict[str, Any]) -> None:
        """What AWS checks beyond the shape, and what cannot be done here. Raises AwsError."""
        algorithm = request["AlgorithmSpecification"]
        if not algorithm.get("TrainingImage") and not algorithm.get("AlgorithmName"):
            raise invalid("You must specify either TrainingImage or AlgorithmName in AlgorithmSpecification.")
        programs.command(algorithm, "training.train", self.repo)
        resource = request.get("ResourceConfig", {})
        if not resource.get("InstanceType") and not resource.get("InstanceGroups"):
            raise invalid("ResourceConfig must have an InstanceType, InstanceCount and VolumeSizeInGB.")
        if resource.get("InstanceCount", 1) != 1:
            raise invalid("The local cloud trains on exactly one instance.")
        for definition in algorithm.get("MetricDefinitions", []):
            try:
                re.compile(definition["Regex"])
            except re.error as error:
                raise invalid(
                    f"The regex of the metric {definition['Name']} is not valid: {error}."
                ) from error
        if request["OutputDataConfig"].get("CompressionType", "GZIP") != "GZIP":
            raise invalid("The local cloud packs the model as model.tar.gz (CompressionType GZIP).")
        local = request.get("CheckpointConfig", {}).get("LocalPath", "/opt/ml/checkpoints")
        if not local.startswith("/opt/ml/"):
            raise invalid(f"The local cloud keeps checkpoints under /opt/ml, not in {local}.")
        condition = request.get("StoppingCondition", {})
        wait, runtime = condition.get("MaxWaitTimeInSeconds"), condition.get("MaxRuntimeInSeconds", 0)
        if wait is not None and not request.get("EnableManagedSpotTraining"):
            raise invalid("MaxWaitTimeInSeconds is for jobs with EnableManagedSpotTraining.")
        if request.get("EnableManagedSpotTraining") and (wait is None or wait < runtime):
            raise invalid(
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
                "MaxRuntimeInSeconds."
            )
        names = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
        if len(names) != len(set(names)):
            raise invalid("Channel names must be unique within a training job.")
        for channel in request.get("InputDataConfig", []):
            source = channel["DataSource"].get("S3DataSource")
            mode = channel.get("InputMode", algorithm["TrainingInputMode"])
            if source is None or source["S3DataType"] not in ("S3Prefix", "ManifestFile") or mode == "Pipe":
                raise invalid(
                    f"Channel {channel['ChannelName']}: the local cloud reads S3Prefix and ManifestFile in File mode."
                )
            if channel.get("CompressionType", "None") != "None":
                raise invalid("CompressionType is for Pipe mode.")
        self.roles.environment(request["RoleArn"])

    def stop(self, name: str) -> dict[str, Any]:
        """StopTrainingJob. Raises AwsError."""
        with self._lock:
            record = self.resources.found(KIND, name)
            if record["TrainingJobStatus"] == "InProgress":
                self._record_step(name, "Stopping", TrainingJobStatus="Stopping")
            elif record["TrainingJobStatus"] != "Stopping":
                status = record["TrainingJobStatus"]
                raise invalid(f"The request was rejected because the training job is in status {status}.")
        self.jobs.stop(record["TrainingJobArn"])
        return {}

    def resume(self) -> None:
        """Start the jobs again that an earlier run of the cloud left."""
        records = sorted(self.resources.store.all(KIND), key=lambda record: record["CreationTime"])
        going = [each["TrainingJobName"] for each in records if each["TrainingJobStatus"] == "InProgress"]
        remove_leftovers(self.folder, going)
        for record in records:
            if record["TrainingJobStatus"] == "Stopping":
                self._job(record["TrainingJobName"]).settle_stopped()
        for name in going:
            if self.resources.found(KIND, name)["SecondaryStatus"] != "Pending":
                for step in ("Interrupted", "Restarting"):
                    self.step(name, step)
            self._submit(name)

    def metric(self, name: str, metric: str) -> list[float]:
        """Every value of a metric of a job so far."""
        return [value for _, found, value in series(self.series_file(name)) if found == metric]

    def step(self, name: str, secondary: str, **members: Any) -> None:
        """Enter a secondary status; members are set with it."""
        with self._lock:
            self._record_step(name, secondary, **members)

    def step_unless(self, stopping: threading.Event, name: str, secondary: str, **members: Any) -> None:
        """Raises CancelledError instead once the job is to stop."""
        with self._lock:
            if stopping.is_set() or self.resources.found(KIND, name)["TrainingJobStatus"] == "Stopping":
                raise CancelledError
            self._record_step(name, secondary, **members)

    def _record_step(self, name: str, secondary: str, **members: Any) -> None:
        steps = [dict(step) for step in self.resources.found(KIND, name)["SecondaryStatusTransitions"]]
        new = _step(secondary)
        steps[-1]["EndTime"] = new["StartTime"]
        if "TrainingEndTime" in members:
            new["EndTime"] = new["StartTime"]
        self.resources.store.change(
            KIND,
            name,
            SecondaryStatus=secondary,
            SecondaryStatusTransitions=[*steps, new],
            LastModifiedTime=new["StartTime"],
            **members,
        )

    def series_file(self, name: str) -> Path:
        """Where every value of a job's metrics is kept."""
        return self.logs / f"training-job-{name}.jsonl"

    def _submit(self, name: str) -> None:
        self.jobs.submit(self.resources.arn(KIND, name), self._job(name))

    def _job(self, name: str) -> TrainingJob:
        return TrainingJob(self, self.resources.found(KIND, name))


def _step(secondary: str) -> dict[str, Any]:
    return {"Status": secondary, "StartTime": time.time(), "StatusMessage": _MESSAGES[secondary]}

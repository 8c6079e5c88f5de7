"""One run of a training job: the container's `train` program, its input and its output."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from localcloud.sagemaker import programs
from localcloud.sagemaker.jobs.metrics import METRICS_NAMESPACE, MetricReader
from localcloud.sagemaker.jobs.program_job import ProgramEnd, ProgramJob
from localcloud.sagemaker.jobs.training_records import TrainingRecords
from localcloud.sagemaker.program_log import ProgramLog
from localcloud.sagemaker.storage import CancelledError, Mirror, download, upload_archive
from localcloud.sagemaker.store import Record

PROGRAM = "training.train"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_SAVE_RUNTIME_S = 10.0  # after a kill of the cloud, no more than this is missing in the job's run time


class TrainingJob(ProgramJob):
    """One run of the program; a restarted cloud makes another, which continues from the checkpoints.

    Attributes:
        name: The job's name.
    """

    def __init__(self, records: TrainingRecords, record: Record) -> None:
        self.name = record["TrainingJobName"]
        super().__init__(records.folder / self.name, records.machine, record["RoleArn"])
        self._records, self._record = records, record
        self._previous_runs_s = float(record.get("run_s", 0))
        self._began = 0.0
        self._checkpoints: Mirror | None = None

    def prepare(self) -> None:
        """Create the folder with input channels, configuration and checkpoints."""
        self._enter_step("Starting")
        if self._has_waited_too_long():
            self._end("Stopped", "MaxWaitTimeExceeded")
            raise CancelledError
        self._clear_folder()
        for folder in ("input/config", "input/data", "model", "output/data", "checkpoints"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        s3 = self.client("s3")
        started = {} if "TrainingStartTime" in self._record else {"TrainingStartTime": time.time()}
        self._enter_step("Downloading", **started)
        for channel in self._record.get("InputDataConfig", []):
            source = channel["DataSource"]["S3DataSource"]
            folder = self.root / "input/data" / channel["ChannelName"]
            download(s3, source["S3Uri"], folder, self.stopping, source["S3DataType"])
        for name, content in self._configuration().items():
            (self.root / "input/config" / f"{name}.json").write_text(json.dumps(content))
        if config := self._record.get("CheckpointConfig"):
            self._checkpoints = Mirror(s3, self._checkpoint_folder(), config["S3Uri"])
            if not self._has_run_before():
                self._checkpoints.download(self.stopping)
        self._enter_step("Training")

    def program(self) -> tuple[list[str], dict[str, str]]:
        """Return the `train` program, or what the entry point names."""
        command = programs.command(self._record["AlgorithmSpecification"], PROGRAM, self.machine.repo)
        variables = {"TRAINING_JOB_NAME": self.name, "TRAINING_JOB_ARN": self._record["TrainingJobArn"]}
        self._began = time.time()
        return command, self._record.get("Environment", {}) | variables

    def image(self) -> tuple[str, str]:
        """Return the name of the image, and the instance type."""
        image = self._record["AlgorithmSpecification"].get("TrainingImage", "")
        return image, self._record["ResourceConfig"].get("InstanceType", "")

    def log(self) -> ProgramLog:
        """Return the log, which also records the metrics in it."""
        definitions = self._record["AlgorithmSpecification"].get("MetricDefinitions", [])
        file = self.machine.logs / f"training-job-{self.name}.log"
        record = self._records.record_metric
        if not self.machine.roles.may_put_metrics(self._role, METRICS_NAMESPACE):
            record = _lose
        metrics = MetricReader(self.name, definitions, self._records.series_file(self.name), record)
        return ProgramLog(file, self.client("logs"), LOG_GROUP, self._record["log_stream"], metrics.read)

    def deadline(self) -> float:
        """Return when the job's time is over.

        MaxRuntimeInSeconds applies to all runs together, MaxWaitTimeInSeconds begins with the job's creation.
        """
        condition = self._record["StoppingCondition"]
        end_of_runtime = self._began + float(condition["MaxRuntimeInSeconds"]) - self._previous_runs_s
        if "MaxWaitTimeInSeconds" not in condition:
            return end_of_runtime
        return min(end_of_runtime, float(self._record["CreationTime"] + condition["MaxWaitTimeInSeconds"]))

    def tick(self) -> None:
        """Upload the checkpoints, and save how long the program has run."""
        self._upload_checkpoints()
        run_s = self._run_s()
        if run_s - self._record.get("run_s", 0) > _SAVE_RUNTIME_S:
            self._record["run_s"] = run_s
            self._records.change(self.name, run_s=run_s)

    def finish(self, end: ProgramEnd) -> None:
        """Upload model and output, then write the final status."""
        if end.cause == "exited" and end.exit_status != 0:
            self._upload_checkpoints()
            file = self.root / "output/failure"
            text = file.read_text(errors="replace").strip() if file.is_file() else ""
            self.mark_failed(self.failure_reason(end, text))
            return
        if end.cause == "exited":
            self._records.enter_step(self.name, "Uploading")
        self._upload_checkpoints()
        artifacts = self._upload(always=end.cause == "exited")
        if end.cause == "exited":
            self._end("Completed", "Completed", **artifacts)
        elif end.cause == "stopped":
            self._end("Stopped", "Stopped", **artifacts)
        else:
            too_late = "MaxWaitTimeExceeded" if self._has_waited_too_long() else "MaxRuntimeExceeded"
            self._end("Stopped", too_late, **artifacts)

    def mark_stopped(self) -> None:
        """Write that the job was stopped before its program started, unless it has another final status."""
        if self._records.get(self.name)["TrainingJobStatus"] in ("InProgress", "Stopping"):
            self._end("Stopped", "Stopped")

    def mark_failed(self, reason: str) -> None:
        """Write that the job failed."""
        self._end("Failed", "Failed", FailureReason=reason)

    def _enter_step(self, secondary_status: str, **members: Any) -> None:
        self._records.enter_step_unless_stopping(self.stopping, self.name, secondary_status, **members)

    def _has_waited_too_long(self) -> bool:
        max_wait_s = self._record["StoppingCondition"].get("MaxWaitTimeInSeconds")
        return max_wait_s is not None and time.time() > self._record["CreationTime"] + max_wait_s

    def _has_run_before(self) -> bool:
        return any(step["Status"] == "Training" for step in self._record["SecondaryStatusTransitions"])

    def _checkpoint_folder(self) -> Path:
        config = self._record.get("CheckpointConfig", {})
        return Path(programs.to_local(config.get("LocalPath", "/opt/ml/checkpoints"), self.root))

    def _clear_folder(self) -> None:
        """Remove everything but the checkpoints of an earlier run: after a kill they are newer here than in S3."""
        kept = self._checkpoint_folder() if self._has_run_before() else None
        for part in self.root.glob("*"):
            if kept is None or not kept.is_relative_to(part):
                shutil.rmtree(part)

    def _configuration(self) -> dict[str, Any]:
        """Return the content of each file in input/config."""
        record = self._record
        channels = record.get("InputDataConfig", [])
        return {
            "hyperparameters": record.get("HyperParameters", {}),
            "inputdataconfig": {
                channel["ChannelName"]: {
                    "TrainingInputMode": "File",
                    "S3DistributionType": "FullyReplicated",
                    "RecordWrapperType": channel.get("RecordWrapperType", "None"),
                }
                | ({"ContentType": channel["ContentType"]} if "ContentType" in channel else {})
                for channel in channels
            },
            "resourceconfig": {
                "current_host": "algo-1",
                "current_instance_type": record["ResourceConfig"].get("InstanceType", ""),
                "hosts": ["algo-1"],
                "network_interface_name": "lo",
            },
        }

    def _upload_checkpoints(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.upload()

    def _upload(self, always: bool) -> dict[str, Any]:
        """Upload output and model, and return the record's member with the model's address.

        Args:
            always: Whether to upload an empty model folder too. A stopped job may have left no model.
        """
        prefix = f"{self._record['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output"
        s3 = self.client("s3")
        if any((self.root / "output/data").glob("*")):
            upload_archive(s3, self.root / "output/data", f"{prefix}/output.tar.gz")
        if not always and not any((self.root / "model").glob("*")):
            return {}
        upload_archive(s3, self.root / "model", f"{prefix}/model.tar.gz")
        return {"ModelArtifacts": {"S3ModelArtifacts": f"{prefix}/model.tar.gz"}}

    def _run_s(self) -> float:
        return self._previous_runs_s + (time.time() - self._began if self._began else 0)

    def _end(self, status: str, secondary_status: str, **members: Any) -> None:
        times = {}
        if self._began or self._previous_runs_s:
            seconds = max(1, round(self._run_s()))
            times = {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        self._records.enter_step(
            self.name,
            secondary_status,
            TrainingJobStatus=status,
            TrainingEndTime=time.time(),
            FinalMetricDataList=self._records.final_metrics(self.name) or None,
            **times,
            **members,
        )


def _lose(*point: object) -> None:
    """Record no metric: the role may not. The job's description has them all the same."""

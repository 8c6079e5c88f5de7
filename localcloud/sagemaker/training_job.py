"""One run of a training job: the container's `train` program with its files around it."""

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.sagemaker import programs
from localcloud.sagemaker.job_logs import JobLog, Metrics, series
from localcloud.sagemaker.jobs import End, ProgramJob
from localcloud.sagemaker.storage import CancelledError, Mirror, download, pack
from localcloud.sagemaker.store import Record

if TYPE_CHECKING:
    from localcloud.sagemaker.training_jobs import TrainingJobs

KIND = "TrainingJob"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_NOTED_S = 10.0  # a kill of the cloud costs the job's account of its time no more than this


class TrainingJob(ProgramJob):
    """One run of the program; a restarted cloud makes another, which goes on from the checkpoints."""

    def __init__(self, owner: "TrainingJobs", record: Record) -> None:
        self.name = record["TrainingJobName"]
        super().__init__(owner.folder / self.name, owner.repo, owner.roles, record["RoleArn"])
        self._owner, self._record = owner, record
        self._ran_before = float(record.get("run_s", 0))
        self._began = 0.0
        self._checkpoints: Mirror | None = None

    def prepare(self) -> None:
        """Input channels, configuration and checkpoints under the root."""
        owner, record = self._owner, self._record
        owner.step_unless(self.stopping, self.name, "Starting")
        wait = record["StoppingCondition"].get("MaxWaitTimeInSeconds")
        if wait is not None and time.time() > record["CreationTime"] + wait:
            self._end("Stopped", "MaxWaitTimeExceeded")
            raise CancelledError
        self._clear()
        for folder in ("input/config", "input/data", "model", "output/data", "checkpoints"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        s3 = self.client("s3")
        began = {} if "TrainingStartTime" in record else {"TrainingStartTime": time.time()}
        owner.step_unless(self.stopping, self.name, "Downloading", **began)
        for channel in record.get("InputDataConfig", []):
            source = channel["DataSource"]["S3DataSource"]
            folder = self.root / "input/data" / channel["ChannelName"]
            download(s3, source["S3Uri"], folder, self.stopping, source["S3DataType"])
        for name, content in self._configuration().items():
            (self.root / "input/config" / f"{name}.json").write_text(json.dumps(content))
        if config := record.get("CheckpointConfig"):
            self._checkpoints = Mirror(s3, self._checkpoint_folder(), config["S3Uri"])
            if not self._has_run():
                self._checkpoints.down(self.stopping)
        owner.step_unless(self.stopping, self.name, "Training")

    def _has_run(self) -> bool:
        return any(step["Status"] == "Training" for step in self._record["SecondaryStatusTransitions"])

    def _checkpoint_folder(self) -> Path:
        config = self._record.get("CheckpointConfig", {})
        return Path(programs.inside(config.get("LocalPath", "/opt/ml/checkpoints"), self.root))

    def _clear(self) -> None:
        """Only the checkpoints outlive a run: they are newer here than what was uploaded before a kill."""
        kept = self._checkpoint_folder() if self._has_run() else self.root / ".none"
        for part in self.root.glob("*"):
            if not kept.is_relative_to(part):
                shutil.rmtree(part)

    def _configuration(self) -> dict[str, Any]:
        record = self._record
        return {
            "hyperparameters": record.get("HyperParameters", {}),
            "inputdataconfig": {
                channel["ChannelName"]: {
                    "TrainingInputMode": "File",
                    "S3DistributionType": "FullyReplicated",
                    "RecordWrapperType": channel.get("RecordWrapperType", "None"),
                }
                | ({"ContentType": channel["ContentType"]} if "ContentType" in channel else {})
                for channel in record.get("InputDataConfig", [])
            },
            "resourceconfig": {
                "current_host": "algo-1",
                "current_instance_type": record["ResourceConfig"].get("InstanceType", ""),
                "hosts": ["algo-1"],
                "network_interface_name": "lo",
            },
        }

    def program(self) -> tuple[list[str], dict[str, str]]:
        """The `train` program, or what the entry point names."""
        command = programs.command(self._record["AlgorithmSpecification"], "training.train", self._owner.repo)
        own = {"TRAINING_JOB_NAME": self.name, "TRAINING_JOB_ARN": self._record["TrainingJobArn"]}
        self._began = time.time()
        return command, self._record.get("Environment", {}) | own

    def log(self) -> JobLog:
        """The log, and the metrics in it."""
        owner = self._owner
        definitions = self._record["AlgorithmSpecification"].get("MetricDefinitions", [])
        file = owner.logs / f"training-job-{self.name}.log"
        metrics = Metrics(self.name, definitions, owner.series_file(self.name), owner.measure)
        return JobLog(file, self.client("logs"), LOG_GROUP, self._record["log_stream"], metrics.read)

    def deadline(self) -> float:
        """MaxRuntimeInSeconds counts what all starts ran together, MaxWaitTimeInSeconds from the creation."""
        condition = self._record["StoppingCondition"]
        at = self._began + float(condition["MaxRuntimeInSeconds"]) - self._ran_before
        wait = condition.get("MaxWaitTimeInSeconds")
        return at if wait is None else min(at, float(self._record["CreationTime"] + wait))

    def tick(self) -> None:
        """Checkpoints to S3, and the time that the program has had."""
        if self._checkpoints is not None:
            self._checkpoints.up()
        spent = self._run_s()
        if spent - self._record.get("run_s", 0) > _NOTED_S:
            self._record["run_s"] = spent
            self._owner.resources.store.change(KIND, self.name, run_s=spent)

    def conclude(self, end: End) -> None:
        """Model and output to S3, then the final status."""
        if end.why == "exited" and end.status != 0:
            self._keep_checkpoints()
            self.fail(self.reason(end, self.root / "output/failure"))
            return
        if end.why == "exited":
            self._owner.step(self.name, "Uploading")
        self._keep_checkpoints()
        artefacts = self._upload(always=end.why == "exited")
        if end.why == "exited":
            self._end("Completed", "Completed", **artefacts)
        elif end.why == "stopped":
            self._end("Stopped", "Stopped", **artefacts)
        else:
            wait = self._record["StoppingCondition"].get("MaxWaitTimeInSeconds")
            late = wait is not None and time.time() > self._record["CreationTime"] + wait
            self._end("Stopped", "MaxWaitTimeExceeded" if late else "MaxRuntimeExceeded", **artefacts)

    def _keep_checkpoints(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.up()

    def _upload(self, always: bool) -> dict[str, Any]:
        """A stopped job's model is brought away if there is one: training may have come far."""
        where = f"{self._record['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output"
        s3 = self.client("s3")
        if any((self.root / "output/data").glob("*")):
            pack(s3, self.root / "output/data", f"{where}/output.tar.gz")
        if not always and not any((self.root / "model").glob("*")):
            return {}
        pack(s3, self.root / "model", f"{where}/model.tar.gz")
        return {"ModelArtifacts": {"S3ModelArtifacts": f"{where}/model.tar.gz"}}

    def settle_stopped(self) -> None:
        """Stopped before the program had begun."""
        if self._owner.resources.found(KIND, self.name)["TrainingJobStatus"] in ("InProgress", "Stopping"):
            self._end("Stopped", "Stopped")

    def fail(self, reason: str) -> None:
        """The job is Failed."""
        self._end("Failed", "Failed", FailureReason=reason)

    def _run_s(self) -> float:
        return self._ran_before + (time.time() - self._began if self._began else 0)

    def _end(self, status: str, secondary: str, **members: Any) -> None:
        seconds = {}
        if self._began or self._ran_before:
            spent = max(1, round(self._run_s()))
            seconds = {"TrainingTimeInSeconds": spent, "BillableTimeInSeconds": spent}
        final = {name: (when, value) for when, name, value in series(self._owner.series_file(self.name))}
        metrics = [
            {"MetricName": name, "Value": value, "Timestamp": when} for name, (when, value) in final.items()
        ]
        self._owner.step(
            self.name,
            secondary,
            TrainingJobStatus=status,
            TrainingEndTime=time.time(),
            FinalMetricDataList=metrics or None,
            **seconds,
            **members,
        )

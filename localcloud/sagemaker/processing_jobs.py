"""Processing jobs: any program of the container on files from S3, such as an evaluation."""

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.sagemaker import programs
from localcloud.sagemaker.errors import invalid
from localcloud.sagemaker.job_logs import JobLog
from localcloud.sagemaker.jobs import End, Jobs, ProgramJob
from localcloud.sagemaker.resources import Operation, Resources
from localcloud.sagemaker.storage import CancelledError, Mirror, download
from localcloud.sagemaker.store import Record

if TYPE_CHECKING:  # its import brings MiniStack's
    from localcloud.sagemaker.roles import Roles

KIND = "ProcessingJob"
LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_MAX_RUNTIME_S = 86_400
_INPUTS = "/opt/ml/processing/"


class ProcessingJobs:
    """The records and their jobs."""

    def __init__(
        self, resources: Resources, jobs: Jobs, folder: Path, logs: Path, repo: Path, roles: "Roles"
    ) -> None:
        self.resources, self.jobs, self.folder, self.logs = resources, jobs, folder, logs
        self.repo, self.roles = repo, roles

    def operations(self) -> dict[str, Operation]:
        """By name."""
        return {
            "CreateProcessingJob": self.create,
            "DescribeProcessingJob": lambda request: self.resources.found(KIND, request["ProcessingJobName"]),
            "StopProcessingJob": lambda request: self.stop(request["ProcessingJobName"]),
            "ListProcessingJobs": lambda request: self.resources.page(KIND, request),
        }

    def create(self, request: dict[str, Any]) -> dict[str, str]:
        """Check, keep and queue a job. Raises AwsError."""
        name = request["ProcessingJobName"]
        programs.command(request["AppSpecification"], None, self.repo)
        if request["ProcessingResources"]["ClusterConfig"].get("InstanceCount", 1) != 1:
            raise invalid("The local cloud processes on exactly one instance.")
        for each in request.get("ProcessingInputs", []):
            source = each.get("S3Input")
            if source is None:
                raise invalid(f"The input {each['InputName']} must have an S3Input.")
            if not source.get("LocalPath", "").startswith(_INPUTS):
                raise invalid(f"LocalPath of the input {each['InputName']} must start with {_INPUTS}")
            if (
                source.get("S3InputMode", "File") != "File"
                or source.get("S3CompressionType", "None") != "None"
            ):
                raise invalid("The local cloud reads inputs in File mode, uncompressed.")
        for each in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
            target = each.get("S3Output")
            if target is None or not target.get("LocalPath", "").startswith("/opt/ml/"):
                raise invalid(
                    f"The output {each['OutputName']} must have an S3Output with a LocalPath in /opt/ml/"
                )
        self.roles.environment(request["RoleArn"])
        stopping = {"MaxRuntimeInSeconds": _MAX_RUNTIME_S} | request.get("StoppingCondition", {})
        created = self.resources.add(
            KIND,
            request | {"StoppingCondition": stopping},
            ProcessingJobStatus="InProgress",
            log_stream=f"{name}/algo-1-{int(time.time())}",
        )
        self._submit(name)
        return created

    def stop(self, name: str) -> dict[str, Any]:
        """StopProcessingJob. Raises AwsError."""
        self.resources.store.change_from(
            KIND, name, "ProcessingJobStatus", "InProgress", ProcessingJobStatus="Stopping"
        )
        record = self.resources.found(KIND, name)
        if record["ProcessingJobStatus"] != "Stopping":
            status = record["ProcessingJobStatus"]
            raise invalid(f"The request was rejected because the processing job is in status {status}.")
        self.jobs.stop(record["ProcessingJobArn"])
        return {}

    def resume(self) -> None:
        """Start the jobs again that an earlier run of the cloud left."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for record in sorted(self.resources.store.all(KIND), key=lambda record: record["CreationTime"]):
            if record["ProcessingJobStatus"] == "Stopping":
                ProcessingJob(self, record).settle_stopped()
            elif record["ProcessingJobStatus"] == "InProgress":
                self._submit(record["ProcessingJobName"])

    def _submit(self, name: str) -> None:
        record = self.resources.found(KIND, name)
        self.jobs.submit(record["ProcessingJobArn"], ProcessingJob(self, record))


class ProcessingJob(ProgramJob):
    """One run of the program."""

    def __init__(self, owner: ProcessingJobs, record: Record) -> None:
        self.name = record["ProcessingJobName"]
        super().__init__(owner.folder / self.name, owner.repo, owner.roles, record["RoleArn"])
        self._owner, self._record = owner, record
        self._began = 0.0
        self._continuous: list[Mirror] = []
        self._at_end: list[Mirror] = []

    def prepare(self) -> None:
        """The inputs and the outputs' empty folders."""
        s3 = self.client("s3")
        for folder in ("config", "output"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        for each in self._record.get("ProcessingInputs", []):
            source = each["S3Input"]
            local = Path(programs.inside(source["LocalPath"], self.root))
            download(s3, source["S3Uri"], local, self.stopping, source["S3DataType"])
        for each in self._record.get("ProcessingOutputConfig", {}).get("Outputs", []):
            target = each["S3Output"]
            local = Path(programs.inside(target["LocalPath"], self.root))
            local.mkdir(parents=True, exist_ok=True)
            mirrors = self._continuous if target["S3UploadMode"] == "Continuous" else self._at_end
            mirrors.append(Mirror(s3, local, target["S3Uri"]))
        (self.root / "config/processingjobconfig.json").write_text(json.dumps(self._record))
        (self.root / "config/resourceconfig.json").write_text(
            json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]})
        )
        if self.stopping.is_set():
            raise CancelledError
        self._began = time.time()
        self._change(ProcessingStartTime=self._began)

    def program(self) -> tuple[list[str], dict[str, str]]:
        """What the entry point names."""
        command = programs.command(self._record["AppSpecification"], None, self._owner.repo)
        own = {"PROCESSING_JOB_NAME": self.name, "PROCESSING_JOB_ARN": self._record["ProcessingJobArn"]}
        return command, self._record.get("Environment", {}) | own

    def log(self) -> JobLog:
        """The log."""
        file = self._owner.logs / f"processing-job-{self.name}.log"
        return JobLog(file, self.client("logs"), LOG_GROUP, self._record["log_stream"], None)

    def deadline(self) -> float:
        """MaxRuntimeInSeconds from the start of the program."""
        return self._began + int(self._record["StoppingCondition"]["MaxRuntimeInSeconds"])

    def tick(self) -> None:
        """Outputs with S3UploadMode Continuous."""
        for mirror in self._continuous:
            mirror.up()

    def conclude(self, end: End) -> None:
        """Outputs to S3, then the final status."""
        message = self.root / "output/message"
        said = {"ExitMessage": message.read_text(errors="replace")[:1024]} if message.is_file() else {}
        if end.why == "exited" and end.status != 0:
            self.tick()
            self._end("Failed", FailureReason=self.reason(end, self.root / "output/failure"), **said)
            return
        for mirror in self._continuous + self._at_end:
            mirror.up()
        if end.why == "timed out":
            limit = self._record["StoppingCondition"]["MaxRuntimeInSeconds"]
            reason = f"ClientError: The processing job exceeded MaxRuntimeInSeconds of {limit}."
            self._end("Stopped", FailureReason=reason, **said)
        else:
            self._end("Completed" if end.why == "exited" else "Stopped", **said)

    def settle_stopped(self) -> None:
        """Stopped before the program had begun."""
        self._end("Stopped")

    def fail(self, reason: str) -> None:
        """The job is Failed."""
        self._end("Failed", FailureReason=reason)

    def _end(self, status: str, **members: Any) -> None:
        self._change(ProcessingJobStatus=status, ProcessingEndTime=time.time(), **members)

    def _change(self, **members: Any) -> None:
        self._owner.resources.store.change(KIND, self.name, LastModifiedTime=time.time(), **members)

"""Processing jobs: any program of the container on files from S3, such as an evaluation."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from localcloud.sagemaker import descriptions, programs, refusals
from localcloud.sagemaker.aws_errors import invalid
from localcloud.sagemaker.jobs.program_job import MAX_REASON_LENGTH, ProgramEnd, ProgramJob
from localcloud.sagemaker.jobs.queue import JobQueue
from localcloud.sagemaker.program_log import ProgramLog
from localcloud.sagemaker.programs import Machine
from localcloud.sagemaker.quotas import Quotas
from localcloud.sagemaker.resources import Operation, Resources
from localcloud.sagemaker.storage import CancelledError, Mirror, download
from localcloud.sagemaker.store import Record

KIND = "ProcessingJob"
LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_DEFAULT_MAX_RUNTIME_S = 86_400
_INPUT_ROOT = "/opt/ml/processing/"
_OUTPUT_ROOT = "/opt/ml/"


class ProcessingJobs:
    """Creates, stops, describes and lists processing jobs."""

    def __init__(
        self, resources: Resources, queue: JobQueue, quotas: Quotas, folder: Path, machine: Machine
    ) -> None:
        """Initialize the operations.

        Args:
            resources: The records of every kind.
            queue: Runs the jobs.
            quotas: How many instances may run.
            folder: Contains a folder for each running job.
            machine: What every program shares.
        """
        self._resources, self._queue, self._folder, self._machine = resources, queue, folder, machine
        self._quotas = quotas

    def operations(self) -> dict[str, Operation]:
        """Return the operations by name."""
        return {
            "CreateProcessingJob": self._create,
            "DescribeProcessingJob": lambda request: descriptions.processing_job(
                self._resources.get(KIND, request["ProcessingJobName"])
            ),
            "StopProcessingJob": lambda request: self._stop(request["ProcessingJobName"]),
            "ListProcessingJobs": lambda request: self._resources.list_page(KIND, request),
        }

    def resume(self) -> None:
        """Start the unfinished jobs of an earlier run of the cloud again."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for record in sorted(self._resources.store.all(KIND), key=lambda record: record["CreationTime"]):
            if record["ProcessingJobStatus"] == "Stopping":
                self._job(record).mark_stopped()
            elif record["ProcessingJobStatus"] == "InProgress":
                self._submit(record["ProcessingJobName"])

    def _create(self, request: dict[str, Any]) -> dict[str, str]:
        refusals.check_processing(request, self._machine.roles.account)
        _check(request, self._machine.repo)
        self._machine.roles.environment(request["RoleArn"])
        self._machine.images.check_job(request["AppSpecification"]["ImageUri"], request["RoleArn"])
        name = request["ProcessingJobName"]
        condition = {"MaxRuntimeInSeconds": _DEFAULT_MAX_RUNTIME_S} | request.get("StoppingCondition", {})
        with self._quotas.lock:
            self._resources.check_name_free(KIND, name)
            self._quotas.check_processing(request)
            created = self._resources.create(
                KIND,
                request | {"StoppingCondition": condition},
                ProcessingJobStatus="InProgress",
                log_stream=f"{name}/algo-1-{int(time.time())}",
            )
        self._submit(name)
        return created

    def _stop(self, name: str) -> dict[str, Any]:
        self._resources.store.change_if(
            KIND, name, "ProcessingJobStatus", "InProgress", ProcessingJobStatus="Stopping"
        )
        record = self._resources.get(KIND, name)
        status = record["ProcessingJobStatus"]
        if status != "Stopping":
            raise invalid(f"The request was rejected because the processing job is in status {status}.")
        self._queue.stop(record["ProcessingJobArn"])
        return {}

    def _submit(self, name: str) -> None:
        record = self._resources.get(KIND, name)
        self._queue.submit(record["ProcessingJobArn"], self._job(record))

    def _job(self, record: Record) -> "ProcessingJob":
        return ProcessingJob(self._resources, self._folder, self._machine, record)


def _check(request: dict[str, Any], repo: Path) -> None:
    """Check a CreateProcessingJob request beyond its shape. Raises AwsError."""
    programs.command(request["AppSpecification"], None, repo)
    if request["ProcessingResources"]["ClusterConfig"].get("InstanceCount", 1) != 1:
        raise invalid("The local cloud processes on exactly one instance.")
    for job_input in request.get("ProcessingInputs", []):
        name, source = job_input["InputName"], job_input.get("S3Input")
        if source is None:
            raise invalid(f"The input {name} must have an S3Input.")
        if not source.get("LocalPath", "").startswith(_INPUT_ROOT):
            raise invalid(f"LocalPath of the input {name} must start with {_INPUT_ROOT}")
        mode, compression = source.get("S3InputMode", "File"), source.get("S3CompressionType", "None")
        if (mode, compression) != ("File", "None"):
            raise invalid("The local cloud reads inputs in File mode, uncompressed.")
    for output in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
        target = output.get("S3Output")
        if target is None or not target.get("LocalPath", "").startswith(_OUTPUT_ROOT):
            raise invalid(
                f"The output {output['OutputName']} must have an S3Output with a LocalPath in {_OUTPUT_ROOT}"
            )


class ProcessingJob(ProgramJob):
    """One run of the program.

    Attributes:
        name: The job's name.
    """

    def __init__(self, resources: Resources, folder: Path, machine: Machine, record: Record) -> None:
        self.name = record["ProcessingJobName"]
        super().__init__(folder / self.name, machine, record["RoleArn"])
        self._store, self._record = resources.store, record
        self._began = 0.0
        self._continuous: list[Mirror] = []
        self._at_end: list[Mirror] = []

    def prepare(self) -> None:
        """Create the folder with inputs, configuration and the outputs' empty folders."""
        s3 = self.client("s3")
        for folder in ("config", "output"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        for job_input in self._record.get("ProcessingInputs", []):
            source = job_input["S3Input"]
            local = Path(programs.to_local(source["LocalPath"], self.root))
            download(s3, source["S3Uri"], local, self.stopping, source["S3DataType"])
        for output in self._record.get("ProcessingOutputConfig", {}).get("Outputs", []):
            target = output["S3Output"]
            local = Path(programs.to_local(target["LocalPath"], self.root))
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
        """Return what the entry point names."""
        command = programs.command(self._record["AppSpecification"], None, self.machine.repo)
        variables = {"PROCESSING_JOB_NAME": self.name, "PROCESSING_JOB_ARN": self._record["ProcessingJobArn"]}
        return command, self._record.get("Environment", {}) | variables

    def image(self) -> tuple[str, str]:
        """Return the name of the image, and the instance type."""
        cluster = self._record["ProcessingResources"]["ClusterConfig"]
        return self._record["AppSpecification"]["ImageUri"], cluster["InstanceType"]

    def log(self) -> ProgramLog:
        """Return the log."""
        file = self.machine.logs / f"processing-job-{self.name}.log"
        return ProgramLog(file, self.client("logs"), LOG_GROUP, self._record["log_stream"], None)

    def deadline(self) -> float:
        """Return the end of MaxRuntimeInSeconds, from the start of the program."""
        return self._began + int(self._record["StoppingCondition"]["MaxRuntimeInSeconds"])

    def tick(self) -> None:
        """Upload the outputs with S3UploadMode Continuous."""
        for mirror in self._continuous:
            mirror.upload()

    def finish(self, end: ProgramEnd) -> None:
        """Upload the outputs, then write the final status.

        The program's own words are the ExitMessage; FailureReason is only its exit code.
        https://docs.aws.amazon.com/sagemaker/latest/dg/byoc-metadata.html
        """
        try:
            message = self._exit_message()
        except UnicodeDecodeError:
            self._end("Failed", FailureReason="ClientError: /opt/ml/output/message is not encoded in UTF-8.")
            return
        if end.cause == "exited" and end.exit_status != 0:
            self.tick()
            self._end("Failed", FailureReason=self.failure_reason(end, ""), **message)
            return
        for mirror in self._continuous + self._at_end:
            mirror.upload()
        if end.cause == "timed out":
            limit = self._record["StoppingCondition"]["MaxRuntimeInSeconds"]
            reason = f"ClientError: The processing job exceeded MaxRuntimeInSeconds of {limit}."
            self._end("Stopped", FailureReason=reason, **message)
        else:
            self._end("Completed" if end.cause == "exited" else "Stopped", **message)

    def _exit_message(self) -> dict[str, str]:
        """Return the member with the first KB of what the program has left. Raises UnicodeDecodeError."""
        file = self.root / "output/message"
        if not file.is_file():
            return {}
        # A character that the limit cuts is left out.
        text = file.read_bytes().decode()
        return {"ExitMessage": text.encode()[:MAX_REASON_LENGTH].decode(errors="ignore")}

    def mark_stopped(self) -> None:
        """Write that the job was stopped before its program started."""
        self._end("Stopped")

    def mark_failed(self, reason: str) -> None:
        """Write that the job failed."""
        self._end("Failed", FailureReason=reason)

    def _end(self, status: str, **members: Any) -> None:
        self._change(ProcessingJobStatus=status, ProcessingEndTime=time.time(), **members)

    def _change(self, **members: Any) -> None:
        self._store.change(KIND, self.name, LastModifiedTime=time.time(), **members)

"""One run of a transform job: its model's server is started, and every object is sent to it.

https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html
"""

import hashlib
import itertools
import shutil
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcloud.daemon_pool import DaemonPool
from localcloud.sagemaker.hosting.model_files import fetch_model
from localcloud.sagemaker.hosting.model_server import STARTUP_TIMEOUT_S, ModelServer, ServerError
from localcloud.sagemaker.jobs.program_job import FAILURES, MAX_REASON_LENGTH
from localcloud.sagemaker.jobs.queue import CLOSING_GRACE_S, Job
from localcloud.sagemaker.program_log import ProgramLog
from localcloud.sagemaker.programs import Machine
from localcloud.sagemaker.resources import Resources
from localcloud.sagemaker.storage import CancelledError, StoredObject, find, split
from localcloud.sagemaker.store import Record
from localcloud.sagemaker.transform.invoker import CLIENT_ERROR, DataLog, FailedError, Invoker
from localcloud.sagemaker.transform.objects import ObjectError, output_name, read
from localcloud.sagemaker.transform.requests import MB, Settings, variables

KIND = "TransformJob"
LOG_GROUP = "/aws/sagemaker/TransformJobs"
# https://github.com/aws/amazon-sagemaker-examples/issues/852 has the message.
_UNHEALTHY = (
    "Model container failed to respond to ping. Please ensure /ping endpoint is implemented and responds with an HTTP "
    "200 status code"
)
_TICK_S = 0.2
_PROGRESS_S = 10.0


class TransformJob(Job):
    """One run of the model's server over the objects.

    The outputs wait in the job's folder until every object has been sent: "When you stop a batch transform job before
    it is completed, Amazon SageMaker doesn't store the job's output in Amazon S3."
    (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTransformJob.html). A run that the end of the
    cloud interrupts continues from there.

    Attributes:
        name: The job's name.
    """

    def __init__(self, resources: Resources, folder: Path, machine: Machine, record: Record) -> None:
        """Initialize a run.

        Args:
            resources: The records of every kind.
            folder: Contains a folder for each running job.
            machine: What every program shares.
            record: The job's record.
        """
        super().__init__()
        self.name = record["TransformJobName"]
        self._root = folder / self.name
        self._store, self._record, self._machine = resources.store, record, machine
        self._container = record["container"]
        self._s3 = self._client("s3")
        self._uri = record["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
        self._kind = record["TransformInput"]["DataSource"]["S3DataSource"]["S3DataType"]

    def run(self, threads: int) -> None:
        """Start the server, send every object, upload the outputs and write the final status."""
        reason = None
        try:
            self._change(TransformStartTime=time.time())
            reason = self._judge()
            self._upload()
        except CancelledError:
            pass
        except ServerError as error:
            reason = f"AlgorithmError: {error}"
        except (*FAILURES, tarfile.TarError) as error:
            reason = f"ClientError: {error}"
        if self.closing.is_set():
            return
        if self.stopping.is_set():
            self.mark_stopped()
        elif reason is not None:
            self.mark_failed(reason[:MAX_REASON_LENGTH])
        else:
            self._end("Completed")
        shutil.rmtree(self._root, ignore_errors=True)

    def mark_stopped(self) -> None:
        """Write that the job was stopped."""
        self._end("Stopped")

    def mark_failed(self, reason: str) -> None:
        """Write that the job failed."""
        self._end("Failed", FailureReason=reason)

    def _judge(self) -> str | None:
        """Send every object that has no output yet; return why the job fails, if it does."""
        log = DataLog(self._log("-data", "/data-log"))
        with self._served(log) as server:
            settings = Settings.of(self._record, server.execution_parameters())
            log.write(
                f"MaxConcurrentTransforms={settings.concurrent}, MaxPayloadInMB={settings.payload_mb}, "
                f"BatchStrategy={settings.strategy}"
            )
            objects = self._objects()
            with DaemonPool(settings.concurrent) as requests, DaemonPool(settings.concurrent) as pool:
                invoker = Invoker(server, settings, self._record, self.stopping, requests.map)
                limit = (
                    settings.payload_mb * MB if self._record["TransformInput"]["SplitType"] == "None" else 0
                )

                def judge(source: StoredObject) -> FailedError | None:
                    return self._judge_object(source, invoker, limit or None, log)

                return _first_reason(_with_progress(pool.map(judge, objects), len(objects), log))

    def _judge_object(
        self, source: StoredObject, invoker: Invoker, limit: int | None, log: DataLog
    ) -> FailedError | None:
        """Keep the output for an object; return why there is none, if so. Raises CancelledError."""
        if self.stopping.is_set():
            raise CancelledError
        file = self._output(source)
        if file.exists():
            return None
        compression = self._record["TransformInput"]["CompressionType"]
        try:
            try:
                content = read(self._s3, source, compression, limit)
            except (ObjectError, *FAILURES) as error:
                raise FailedError(CLIENT_ERROR, str(error)) from error
            answer = invoker.answer(content)
        except FailedError as error:
            log.failure(source.bucket, source.key, error)
            return error
        temporary = file.with_suffix(".part")
        temporary.write_bytes(answer)
        temporary.replace(file)
        return None

    def _upload(self) -> None:
        """Upload the outputs. Raises CancelledError, or one of FAILURES."""
        target = self._record["TransformOutput"]
        bucket, prefix = split(target["S3OutputPath"])
        folder = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
        key = target["KmsKeyId"]
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
        for source in self._objects():
            if self.stopping.is_set():
                raise CancelledError
            if (file := self._output(source)).exists():
                name = output_name(source, self._uri, self._kind)
                self._s3.put_object(Bucket=bucket, Key=folder + name, Body=file.read_bytes(), **encryption)

    def _objects(self) -> list[StoredObject]:
        return find(self._s3, self._uri, self._kind)

    def _output(self, source: StoredObject) -> Path:
        """Return the file that keeps an object's output: a key may be longer than a file's name."""
        name = hashlib.sha256(f"{source.bucket}/{source.key}".encode()).hexdigest()
        return Path(self._root, "output", f"{name}.out")

    @contextmanager
    def _served(self, log: DataLog) -> Iterator[ModelServer]:
        """Give the model's server, which ends with the block, or as soon as the job must stop."""
        server = self._server()
        server.log.open()
        log.open()
        done = threading.Event()
        follower = threading.Thread(target=self._follow, args=(server, log, done), daemon=True)
        follower.start()
        try:
            server.start(STARTUP_TIMEOUT_S)
            yield server
        finally:
            done.set()
            follower.join()
            server.stop(drain_s=0)
            log.send()

    def _follow(self, server: ModelServer, log: DataLog, done: threading.Event) -> None:
        """Send the log while the job runs, and end the server when the job must stop."""
        for number in itertools.count():
            if done.wait(_TICK_S):
                return
            if self.stopping.is_set():
                server.stop(drain_s=0, grace_s=CLOSING_GRACE_S)
                return
            if number % round(1 / _TICK_S) == 0:
                log.send()

    def _server(self) -> ModelServer:
        """Return the server with the model's files. Raises one of FAILURES, or a ServerError."""
        self._check_image()
        shutil.rmtree(self._root / "model", ignore_errors=True)
        for folder in ("model", "output"):
            (self._root / folder).mkdir(parents=True, exist_ok=True)
        if self._container["model_data"]:
            fetch_model(self._s3, self._container["model_data"], self._root)
        environment = (
            self._container["environment"]
            | self._record.get("Environment", {})
            | variables(self._record)
            | self._machine.roles.environment(self._container["role"])
        )
        return ModelServer(
            self._root,
            self._machine.repo,
            environment,
            self._log("", ""),
            unhealthy=_UNHEALTHY,
            in_background=True,
        )

    def _check_image(self) -> None:
        """Check that the container could start on AWS. Raises ServerError."""
        image, role = self._container["image"], self._container["role"]
        if not self._machine.images.pull(image, role):
            raise ServerError(
                f"Please make sure that the image {image} exists, and that the execution role used to create the "
                "model has permissions to access it."
            )
        instance_type = self._record["TransformResources"]["InstanceType"]
        if error := self._machine.images.exec_error(image, role, instance_type):
            raise ServerError(f"{_UNHEALTHY}: {error}")

    def _log(self, file_suffix: str, stream_suffix: str) -> ProgramLog:
        file = self._machine.logs / f"transform-job-{self.name}{file_suffix}.log"
        stream = f"{self._record['log_stream']}{stream_suffix}"
        return ProgramLog(file, self._client("logs"), LOG_GROUP, stream)

    def _client(self, service: str) -> Any:
        """Return a client with the permissions of the model's role."""
        return self._machine.roles.client(service, self._container["role"])

    def _end(self, status: str, **members: Any) -> None:
        self._change(TransformJobStatus=status, TransformEndTime=time.time(), **members)

    def _change(self, **members: Any) -> None:
        self._store.change(KIND, self.name, LastModifiedTime=time.time(), **members)


def _with_progress(
    outcomes: Iterator[FailedError | None], total: int, log: DataLog
) -> Iterator[FailedError | None]:
    """Yield every outcome, and say in the log how many there are so far."""
    told = time.monotonic()
    for number, outcome in enumerate(outcomes, 1):
        yield outcome
        if number == total or time.monotonic() - told > _PROGRESS_S:
            log.write(f"{number:,} of {total:,} objects are done")
            told = time.monotonic()


def _first_reason(outcomes: Iterator[FailedError | None]) -> str | None:
    """Return the reason of the first failure, once all are there: one failure does not end the job."""
    return next((failure.reason for failure in list(outcomes) if failure is not None), None)

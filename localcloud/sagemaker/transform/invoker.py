"""Sends the requests of a transform job to its model server, and logs what fails as SageMaker does."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localcloud.sagemaker.hosting.model_server import ModelServer, NoAnswerError
from localcloud.sagemaker.program_log import ProgramLog
from localcloud.sagemaker.storage import CancelledError
from localcloud.sagemaker.transform.filters import FilterError, filtered, output
from localcloud.sagemaker.transform.objects import ObjectError, batches
from localcloud.sagemaker.transform.requests import Settings

# The reasons in AWS's words, from aws/sagemaker-python-sdk#1758 and aws/deep-learning-containers#586.
CLIENT_ERROR = "ClientError: See job logs for more information"
ALGORITHM_ERROR = "AlgorithmError: See job logs for more information"
NO_ANSWER = "InternalServerError: We encountered an internal error.  Please try again."

_BUSY = 429
_FIRST_PAUSE_S = 0.5


class FailedError(Exception):
    """An object has no output.

    Attributes:
        reason: The job's FailureReason.
        details: What the job's log says about the object, line by line.
    """

    def __init__(self, reason: str, *details: str) -> None:
        super().__init__(reason)
        self.reason, self.details = reason, details


class DataLog:
    """The log stream in which SageMaker itself writes, in the form that it has there.

    https://github.com/aws/sagemaker-tensorflow-serving-container/issues/93 shows one.
    """

    def __init__(self, log: ProgramLog) -> None:
        self._log = log

    def open(self) -> None:
        """Create the log stream."""
        self._log.open()

    def write(self, text: str) -> None:
        """Add a line."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        self._log.write(f"{now}:[sagemaker logs]: {text}")

    def failure(self, bucket: str, key: str, error: FailedError) -> None:
        """Say why an object has no output."""
        for line in error.details:
            self.write(f"{bucket}/{key}: {line}")

    def send(self) -> None:
        """Send what has been written to CloudWatch Logs."""
        self._log.send()


class Invoker:
    """Sends objects to a model server."""

    def __init__(
        self,
        server: ModelServer,
        settings: Settings,
        job: dict[str, Any],
        stopping: threading.Event,
        each: Callable[..., Any] = map,
    ) -> None:
        """Initialize.

        Args:
            server: The model server.
            settings: How the objects are sent.
            job: The parameters of CreateTransformJob, with the defaults.
            stopping: Set when the job must stop.
            each: Calls a function for each item, as many at once as requests may be under way.
        """
        self._server, self._settings, self._stopping, self._each = server, settings, stopping, each
        source, target = job["TransformInput"], job["TransformOutput"]
        self._split, self._assembly = source["SplitType"], target["AssembleWith"]
        self._processing = job["DataProcessing"]
        headers = {"content-type": source.get("ContentType"), "accept": target.get("Accept")}
        self._headers = {name: value for name, value in headers.items() if value}

    def answer(self, content: bytes) -> bytes:
        """Return the output for an object's content.

        Raises:
            FailedError: There is none.
            CancelledError: If the job is stopped.
        """
        end = b"\n" if self._assembly == "Line" else b""
        try:
            requests = batches(content, self._split, self._settings)
            answers = list(self._each(self._batch, requests))
        except ObjectError as error:
            raise FailedError(CLIENT_ERROR, str(error)) from error
        except FilterError as error:
            raise FailedError(CLIENT_ERROR, f"ClientError: {error}") from error
        return b"".join(answer + end for answer in answers)

    def _batch(self, records: list[bytes]) -> bytes:
        """Return the output for the records of one request."""
        path = self._processing["InputFilter"]
        answer = self._send(b"\n".join(filtered(path, record) for record in records))
        if len(records) == 1:
            return output(self._processing, records[0], answer)
        if self._processing["JoinSource"] == "None" and self._processing["OutputFilter"] == "$":
            return answer
        parts = answer.strip().split(b"\n")
        if len(parts) != len(records):
            raise FilterError(f"the container answered {len(records)} records by {len(parts)} lines")
        pairs = zip(records, parts, strict=True)
        return b"\n".join(output(self._processing, record, part) for record, part in pairs)

    def _send(self, body: bytes) -> bytes:
        """Send one request, again if that may help. A 4xx says that it does not, except of a server that is busy."""
        for attempt in range(self._settings.retries + 1):
            if attempt and self._stopping.wait(_FIRST_PAUSE_S * 2 ** (attempt - 1)):
                raise CancelledError
            last = attempt == self._settings.retries or not self._server.alive()
            try:
                answer = self._server.invoke(
                    body,
                    self._headers,
                    self._settings.timeout_s,
                    chunked=self._settings.payload_mb == 0,
                )
            except NoAnswerError as error:
                if self._stopping.is_set():
                    raise CancelledError from error
                if last:
                    raise FailedError(NO_ANSWER, "Unable to get response from algorithm") from error
                continue
            if answer.status < 300:
                return answer.data
            client_error = 400 <= answer.status < 500
            if last or (client_error and answer.status != _BUSY):
                raise _refused(answer.status, answer.data, client_error=client_error)
        raise AssertionError  # the last attempt has returned or raised


def _refused(status: int, body: bytes, *, client_error: bool) -> FailedError:
    reason = CLIENT_ERROR if client_error else ALGORITHM_ERROR
    problem = (
        f"ClientError: {status}" if client_error else f"Bad HTTP status received from algorithm: {status}"
    )
    text = body.decode(errors="replace").splitlines()
    return FailedError(reason, problem, "", "Message:", *text)

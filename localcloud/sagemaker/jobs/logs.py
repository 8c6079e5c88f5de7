"""The output of a job's program: in a file, in CloudWatch Logs, and its metrics in CloudWatch."""

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from botocore.exceptions import BotoCoreError, ClientError

logger = logging.getLogger(__name__)

# Records a data point in CloudWatch: namespace, name, value, unit, dimensions.
RecordMetric = Callable[[str, str, float, str, dict[str, str]], None]
METRICS_NAMESPACE = "/aws/sagemaker/TrainingJobs"

_EVENTS_PER_CALL = 500
_MAX_LINE_LENGTH = 200_000  # CloudWatch Logs accepts 256 KiB for an event


class MetricReader:
    """Finds the values of a training job's MetricDefinitions in its lines."""

    def __init__(
        self, job: str, definitions: list[dict[str, str]], series_file: Path, record_metric: RecordMetric
    ) -> None:
        """Initialize the reader for one job.

        Args:
            job: The job's name.
            definitions: The MetricDefinitions.
            series_file: Receives every value, one JSON line each; it is kept across restarts of the job.
            record_metric: Receives every value for CloudWatch.
        """
        self._job, self._record_metric, self._series_file = job, record_metric, series_file
        self._patterns = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]

    def read(self, line: str) -> None:
        """Record the metrics in a line."""
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                try:
                    value = float(match[1])
                except (ValueError, IndexError):
                    continue
                with self._series_file.open("a") as file:
                    file.write(json.dumps([time.time(), name, value]) + "\n")
                self._record_metric(METRICS_NAMESPACE, name, value, "None", {"TrainingJobName": self._job})


def read_series(file: Path) -> Iterator[tuple[float, str, float]]:
    """Yield time, name and value of every metric of a job so far, in order."""
    if file.exists():
        for line in file.read_text().splitlines():
            timestamp, name, value = json.loads(line)
            yield timestamp, name, value


class JobLog:
    """Reads a program's output in a thread; `send` sends what has arrived to CloudWatch Logs."""

    def __init__(
        self, file: Path, logs: Any, group: str, stream: str, on_line: Callable[[str], None] | None
    ) -> None:
        """Initialize the log of one run of a job.

        Args:
            file: The file for the output.
            logs: A client of CloudWatch Logs with the permissions of the job's role.
            group: The log group.
            stream: The log stream.
            on_line: Called with every line.
        """
        self._file, self._logs, self._group, self._stream = file, logs, group, stream
        self._on_line = on_line
        self._unsent: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._stream_exists = False
        self._thread: threading.Thread | None = None

    def follow(self, output: IO[bytes]) -> None:
        """Read `output` to its end in the background."""
        self._thread = threading.Thread(target=self._read, args=(output,), daemon=True, name="loupe-job-log")
        self._thread.start()

    def finish(self) -> None:
        """Read and send the rest after the program has ended."""
        if self._thread is not None:
            # A process that the program left behind may keep the pipe open.
            self._thread.join(timeout=10)
        self.send()

    def send(self) -> None:
        """Send the lines that have arrived; as on AWS, a role that may not write logs does not fail the job."""
        with self._lock:
            events, self._unsent = self._unsent, []
        if not events:
            return
        try:
            if not self._stream_exists:
                self._create_stream()
            for start in range(0, len(events), _EVENTS_PER_CALL):
                self._logs.put_log_events(
                    logGroupName=self._group,
                    logStreamName=self._stream,
                    logEvents=events[start : start + _EVENTS_PER_CALL],
                )
        except (ClientError, BotoCoreError) as error:
            logger.warning("logs of %s: %s", self._stream, error)

    def _create_stream(self) -> None:
        for create, names in (
            (self._logs.create_log_group, {"logGroupName": self._group}),
            (self._logs.create_log_stream, {"logGroupName": self._group, "logStreamName": self._stream}),
        ):
            try:
                create(**names)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                    raise
        self._stream_exists = True

    def _read(self, output: IO[bytes]) -> None:
        with self._file.open("ab") as file, output:
            for raw in output:
                file.write(raw)
                file.flush()
                line = raw.decode(errors="replace").rstrip()[:_MAX_LINE_LENGTH]
                if not line:
                    continue
                with self._lock:
                    self._unsent.append({"timestamp": int(time.time() * 1000), "message": line})
                if self._on_line is not None:
                    self._on_line(line)

"""What a job's program says: in a file, in CloudWatch Logs, and its metrics wherever they are wanted."""

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

_EVENTS_AT_ONCE = 500
_LONGEST_LINE = 200_000  # CloudWatch takes 256 KiB an event
# How something is measured: namespace, name, value, unit, dimensions.
Measure = Callable[[str, str, float, str, dict[str, str]], None]
METRICS_NAMESPACE = "/aws/sagemaker/TrainingJobs"


class Metrics:
    """The values that a training job's MetricDefinitions find in its lines."""

    def __init__(
        self, job: str, definitions: list[dict[str, str]], series: Path, measure: Measure | None
    ) -> None:
        """`series` keeps every value, a JSON line each, across restarts of the job."""
        self._job, self._measure, self._series = job, measure, series
        self._patterns = [(each["Name"], re.compile(each["Regex"])) for each in definitions]

    def read(self, line: str) -> None:
        """Take the metrics out of a line."""
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                try:
                    value = float(match[1])
                except (ValueError, IndexError):
                    continue
                with self._series.open("a") as file:
                    file.write(json.dumps([time.time(), name, value]) + "\n")
                if self._measure is not None:
                    self._measure(METRICS_NAMESPACE, name, value, "None", {"TrainingJobName": self._job})


def series(file: Path) -> Iterator[tuple[float, str, float]]:
    """Time, name and value of every metric of a job so far, in their order."""
    if file.exists():
        for line in file.read_text().splitlines():
            when, name, value = json.loads(line)
            yield when, name, value


class JobLog:
    """Follows a program's output from a thread; `send` brings what has come to CloudWatch Logs."""

    def __init__(
        self, file: Path, logs: Any, group: str, stream: str, on_line: Callable[[str], None] | None
    ) -> None:
        """`logs` is a client under the job's role."""
        self._file, self._logs, self._group, self._stream = file, logs, group, stream
        self._on_line = on_line
        self._waiting: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._made = False
        self._thread: threading.Thread | None = None

    def follow(self, output: IO[bytes]) -> None:
        """Read `output` to its end in the background."""
        self._thread = threading.Thread(target=self._read, args=(output,), daemon=True, name="loupe-job-log")
        self._thread.start()

    def finish(self) -> None:
        """The program has ended: take the rest and send it."""
        if self._thread is not None:
            self._thread.join(timeout=10)  # a process that it left behind may hold the pipe
        self.send()

    def send(self) -> None:
        """As on AWS, a role that may not write logs costs the logs, not the job."""
        with self._lock:
            events, self._waiting = self._waiting, []
        if not events:
            return
        try:
            if not self._made:
                self._make()
            for start in range(0, len(events), _EVENTS_AT_ONCE):
                self._logs.put_log_events(
                    logGroupName=self._group,
                    logStreamName=self._stream,
                    logEvents=events[start : start + _EVENTS_AT_ONCE],
                )
        except (ClientError, BotoCoreError) as error:
            logger.warning("logs of %s: %s", self._stream, error)

    def _make(self) -> None:
        for create, names in (
            (self._logs.create_log_group, {"logGroupName": self._group}),
            (self._logs.create_log_stream, {"logGroupName": self._group, "logStreamName": self._stream}),
        ):
            try:
                create(**names)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                    raise
        self._made = True

    def _read(self, output: IO[bytes]) -> None:
        with self._file.open("ab") as file, output:
            for raw in output:
                file.write(raw)
                file.flush()
                line = raw.decode(errors="replace").rstrip()[:_LONGEST_LINE]
                if not line:
                    continue
                with self._lock:
                    self._waiting.append({"timestamp": int(time.time() * 1000), "message": line})
                if self._on_line is not None:
                    self._on_line(line)

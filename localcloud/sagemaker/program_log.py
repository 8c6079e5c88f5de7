"""The output of a job's program or of a model server: in a file, and in CloudWatch Logs."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from botocore.exceptions import BotoCoreError, ClientError

logger = logging.getLogger(__name__)

_EVENTS_PER_CALL = 500
_MAX_LINE_LENGTH = 200_000  # CloudWatch Logs accepts 256 KiB for an event


class ProgramLog:
    """Reads a program's output in a thread; `send` sends what has arrived to CloudWatch Logs.

    Attributes:
        file: The file with the output.
    """

    def __init__(
        self, file: Path, logs: Any, group: str, stream: str, on_line: Callable[[str], None] | None = None
    ) -> None:
        """Initialize the log of one run of a program.

        Args:
            file: The file for the output.
            logs: A client of CloudWatch Logs with the permissions of the program's role.
            group: The log group.
            stream: The log stream.
            on_line: Called with every line.
        """
        self.file, self._logs, self._group, self._stream = file, logs, group, stream
        self._on_line = on_line
        self._unsent: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._stream_exists = False
        self._thread: threading.Thread | None = None

    def follow(self, output: IO[bytes]) -> None:
        """Read `output` to its end in the background."""
        self._thread = threading.Thread(
            target=self._read, args=(output,), daemon=True, name="loupe-program-log"
        )
        self._thread.start()

    def write(self, line: str) -> None:
        """Add a line that no program has printed."""
        with self.file.open("a") as file:
            file.write(f"{line}\n")
        self._take(line)

    def finish(self) -> None:
        """Read and send the rest after the program has ended."""
        if self._thread is not None:
            # A process that the program left behind may keep the pipe open.
            self._thread.join(timeout=10)
        self.send()

    def open(self) -> None:
        """Create the log stream before the program prints, for whoever looks for it at once.

        As on AWS, a role that may not write logs does not fail the program.
        """
        self._or_warn(self._create_stream)

    def send(self) -> None:
        """Send the lines that have arrived."""
        with self._lock:
            events, self._unsent = self._unsent, []
        if events:
            self._or_warn(lambda: self._put(events))

    def _put(self, events: list[dict[str, Any]]) -> None:
        if not self._stream_exists:
            self._create_stream()
        for start in range(0, len(events), _EVENTS_PER_CALL):
            self._logs.put_log_events(
                logGroupName=self._group,
                logStreamName=self._stream,
                logEvents=events[start : start + _EVENTS_PER_CALL],
            )

    def _or_warn(self, write: Callable[[], None]) -> None:
        try:
            write()
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
        with self.file.open("ab") as file, output:
            for raw in output:
                file.write(raw)
                file.flush()
                line = raw.decode(errors="replace").rstrip()[:_MAX_LINE_LENGTH]
                if line:
                    self._take(line)

    def _take(self, line: str) -> None:
        with self._lock:
            self._unsent.append({"timestamp": int(time.time() * 1000), "message": line})
        if self._on_line is not None:
            self._on_line(line)

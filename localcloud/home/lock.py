"""The lock of a home, and which process has it."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import psutil

from localcloud.errors import NotRunningError, StopError

FILE_NAME = "lock"
STOP_SECONDS = 15.0
_POLL_S = 0.1
_LENGTH = 512  # bytes; more than any process and step need


@dataclass
class Holder:
    """The process that has the lock.

    Attributes:
        pid: The process.
        created: When it was created, in seconds since 1970: a number is used again for another process.
        step: What it waits for while it stops; empty before.
    """

    pid: int
    created: float
    step: str = ""

    def alive(self) -> bool:
        """Return whether the process still runs; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < 1
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


class Lock:
    """The lock that a running cloud has, from `acquire` to `release` or to the end of its process."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        """Take the lock; return False if another process has it."""
        # Stays open as long as we have the lock.
        file = open(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+")  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        self.tell("")
        return True

    def tell(self, step: str) -> None:
        """Tell other processes what this one waits for while it stops."""
        process = psutil.Process()
        self._write(json.dumps(asdict(Holder(process.pid, process.create_time(), step))))

    def release(self) -> None:
        """Release the lock."""
        if self._file is not None:
            self._write("")
            self._file.close()
            self._file = None

    def _write(self, text: str) -> None:
        # A full disk must not prevent the stop.
        with contextlib.suppress(OSError):
            if self._file is not None:
                # One write of a fixed length: a reader never sees half of it.
                os.pwrite(self._file.fileno(), text.ljust(_LENGTH).encode(), 0)


def holder(home: Path) -> Holder | None:
    """Return the process that has the lock of a home; None if no process has it."""
    try:
        found = Holder(**json.loads((home / FILE_NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.alive() else None


def stop(
    home: Path, timeout_s: float = STOP_SECONDS, on_step: Callable[[str], None] = lambda step: None
) -> int:
    """Stop the local cloud that another process runs, also while it starts; return when the process has ended.

    Args:
        home: The home.
        timeout_s: How long to wait.
        on_step: Receives what the cloud waits for, such as "ending 2 jobs", whenever this changes.

    Returns:
        The number of the process.

    Raises:
        NotRunningError: If no cloud runs there.
        StopError: If the process belongs to another user, or has not ended in time.
    """
    home = home.expanduser().resolve()
    running = holder(home)
    if running is None:
        raise NotRunningError(home)
    pid, step = running.pid, ""
    try:
        psutil.Process(pid).terminate()
    except psutil.NoSuchProcess:
        return pid
    except psutil.AccessDenied as error:
        raise StopError(pid, f"Process {pid} belongs to another user.", "Stop it as that user.") from error
    deadline = time.monotonic() + timeout_s
    while running.alive():
        now = holder(home)
        if now is not None and now.pid == pid and now.step != step:
            step = now.step
            on_step(step)
        if time.monotonic() > deadline:
            waits = f" ({step})" if step else ""
            raise StopError(
                pid,
                f"Process {pid} has not stopped within {timeout_s:.0f} seconds{waits}.",
                f"Wait, or end it: kill -9 {pid} (at most the last two seconds are lost).",
            )
        time.sleep(_POLL_S)
    return pid

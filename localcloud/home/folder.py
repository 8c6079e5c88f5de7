"""The private folder of a local cloud: its parts, its lock, and the processes that a killed cloud left behind."""

import fcntl
import os
import secrets
import shutil
from pathlib import Path
from typing import IO

import psutil

from localcloud.errors import AlreadyRunningError
from localcloud.home import connections


class Home:
    """The private folder and its parts, readable by their owner only.

    Attributes:
        root: The folder.
        state: MiniStack's state, one JSON file for each service.
        objects: The objects in S3.
        sagemaker: The state of our SageMaker, and the files of running jobs and endpoints.
        logs: The logs of the cloud, functions, endpoints and jobs.
        temporary: The functions' code and their /tmp.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.state = self.root / "state"
        self.objects = self.root / "s3"
        self.sagemaker = self.root / "sagemaker"
        self.logs = self.root / "logs"
        self.temporary = self.root / "tmp"
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Create the folders and take the lock, which the kernel releases however this process ends.

        Raises:
            AlreadyRunningError: If another process has the lock.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        # Stays open as long as we have the lock.
        lock = open(os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            running = connections.read(self.root)
            pid, port = (running.pid, running.port) if running and running.alive() else (None, None)
            raise AlreadyRunningError(self.root, pid, port) from error
        self._lock = lock
        self._end_leftovers()
        shutil.rmtree(self.temporary, ignore_errors=True)
        for folder in (self.state, self.objects, self.sagemaker, self.logs, self.temporary):
            folder.mkdir(mode=0o700, exist_ok=True)

    def secret(self) -> bytes:
        """Return random bytes that stay the same for the life of this home."""
        file = self.root / "secret"
        if not file.exists():
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new:
                new.write(secrets.token_bytes(32))
        return file.read_bytes()

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def move_to_port(self, old: int, new: int) -> None:
        """Change the port in MiniStack's state: it contains queue URLs with the address, and finds queues by them."""
        for file in self.state.glob("*.json"):
            text = file.read_text()
            if f"127.0.0.1:{old}" in text:
                file.write_text(text.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}"))

    def _end_leftovers(self) -> None:
        """End the processes of a killed cloud: a function's worker exits by itself only after its batch."""
        leftovers = [process for process in psutil.process_iter() if self._is_leftover(process)]
        for process in leftovers:
            process.kill()
        psutil.wait_procs(leftovers, timeout=5)

    def _is_leftover(self, process: psutil.Process) -> bool:
        """Return whether a process runs a program from this folder (functions) or works in it (models)."""
        try:
            if process.pid == os.getpid() or process.uids().real != os.getuid():
                return False
            runs_function = any(part.startswith(f"{self.temporary}/") for part in process.cmdline())
            return runs_function or process.cwd().startswith(f"{self.sagemaker}/endpoints/")
        except psutil.Error:
            return False

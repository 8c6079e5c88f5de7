"""The private folder of a local cloud: its parts, the lock on it, and what a killed cloud left in it."""

import fcntl
import os
import secrets
import shutil
from pathlib import Path
from typing import IO

import psutil

from localcloud import connections
from localcloud.errors import AlreadyRunningError


class Home:
    """`root` and its folders, readable by their owner only."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.state = self.root / "state"  # MiniStack's, a JSON file a service
        self.objects = self.root / "s3"
        self.sagemaker = self.root / "sagemaker"
        self.logs = self.root / "logs"
        self.temporary = self.root / "tmp"  # functions' code and their /tmp
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Make the folders and take the lock; the kernel gives it up however this process ends.

        Raises AlreadyRunningError.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        # Kept open as long as the lock is ours.
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
        """Random bytes that stay the same for the life of this home."""
        file = self.root / "secret"
        if not file.exists():
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new:
                new.write(secrets.token_bytes(32))
        return file.read_bytes()

    def close(self) -> None:
        """Give up the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def move_to_port(self, old: int, new: int) -> None:
        """MiniStack writes its address into queue URLs and keeps its queues by them: follow it there."""
        for file in self.state.glob("*.json"):
            text = file.read_text()
            if f"127.0.0.1:{old}" in text:
                file.write_text(text.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}"))

    def _end_leftovers(self) -> None:
        """End what a killed cloud left running: a worker leaves by itself only once its batch is done.

        A process is ours if its program lies in our private folder (functions) or it works there (models).
        """
        ours = [process for process in psutil.process_iter() if self._is_ours(process)]
        for process in ours:
            process.kill()
        psutil.wait_procs(ours, timeout=5)

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.pid == os.getpid() or process.uids().real != os.getuid():
                return False
            program = any(part.startswith(f"{self.temporary}/") for part in process.cmdline())
            return program or process.cwd().startswith(f"{self.sagemaker}/endpoints/")
        except psutil.Error:
            return False

"""The private folder of a local cloud: its parts, its lock, and the processes that a killed cloud left behind."""

import errno
import os
import secrets
import shutil
from pathlib import Path

import psutil

from localcloud.errors import AlreadyRunningError, HomeError
from localcloud.home import connections, files, lock
from localcloud.home.space import LEAST_FREE_BYTES

_ANOTHER = "choose another folder: --home FOLDER"
_REASONS = {
    errno.EEXIST: "it is a file, not a folder",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
}
_HINTS = {
    errno.ENOSPC: f"Free some space on that disk, or {_ANOTHER}",
    errno.EDQUOT: f"Free some space on that disk, or {_ANOTHER}",
    errno.EACCES: f"Make it writable for you, or {_ANOTHER}",
    errno.EPERM: f"Make it writable for you, or {_ANOTHER}",
    errno.EROFS: f"Make it writable for you, or {_ANOTHER}",
}


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
        """Initialize a home; nothing is created before `open`.

        Args:
            root: The folder.

        Raises:
            HomeError: If it is no path.
        """
        try:
            self.root = root.expanduser().resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise unusable(root, error) from error
        self.state = self.root / "state"
        self.objects = self.root / "s3"
        self.sagemaker = self.root / "sagemaker"
        self.logs = self.root / "logs"
        self.temporary = self.root / "tmp"
        self._lock = lock.Lock(self.root)

    def open(self) -> None:
        """Create the folders and take the lock, which the kernel releases however this process ends.

        Raises:
            AlreadyRunningError: If another process has the lock.
            HomeError: If the folder cannot be used, or a part of it is damaged.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o700)
            acquired = self._lock.acquire()
        except (OSError, ValueError) as error:
            raise unusable(self.root, error) from error
        if not acquired:
            raise self._already_running()
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def secret(self) -> bytes:
        """Return random bytes that stay the same for the life of this home."""
        file = self.root / "secret"
        if not file.exists():
            files.replace(file, secrets.token_bytes(32))
        return file.read_bytes()

    def tell(self, step: str) -> None:
        """Tell other processes what this cloud waits for while it stops."""
        self._lock.tell(step)

    def close(self) -> None:
        """Release the lock."""
        self._lock.release()

    def move_to_port(self, old: int, new: int) -> None:
        """Change the port in MiniStack's state: it contains queue URLs with the address, and finds queues by them."""
        for file in self.state.glob("*.json"):
            text = file.read_text()
            if f"127.0.0.1:{old}" in text:
                files.replace(file, text.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}"))

    def _already_running(self) -> AlreadyRunningError:
        holder = lock.holder(self.root)
        try:
            running = connections.read(self.root)
        except HomeError:
            running = None
        pid = holder.pid if holder else None
        # While a cloud starts, the connection is that of its last run.
        port = running.port if running and running.pid == pid else None
        return AlreadyRunningError(self.root, pid, port)

    def _prepare(self) -> None:
        """Make the folders ready for a cloud. Raises HomeError."""
        self._end_leftovers()
        try:
            shutil.rmtree(self.temporary, ignore_errors=True)
            if shutil.disk_usage(self.root).free < LEAST_FREE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            for folder in (self.state, self.objects, self.sagemaker, self.logs, self.temporary):
                folder.mkdir(mode=0o700, exist_ok=True)
            for leftover in self.state.glob("*.json.*"):  # of a version that was killed while it saved
                leftover.unlink()
            for file in (*self.state.glob("*.json"), *self.sagemaker.glob("*.json")):
                self._check_complete(file)
        except OSError as error:
            raise unusable(self.root, error) from error

    def _check_complete(self, file: Path) -> None:
        """Check that a file of the state was written to its end. Raises HomeError.

        MiniStack would begin with an empty state instead, and the next save would replace the file.
        """
        with file.open("rb") as content:
            first = content.read(1)
            content.seek(-min(1, file.stat().st_size), os.SEEK_END)
            last = content.read(1)
        if (first, last) != (b"{", b"}"):
            raise HomeError(
                self.root,
                f"{file} is damaged, as after a power failure or on a full disk.",
                "Restore it from a backup, or start with an empty cloud: loupe reset",
            )

    def _end_leftovers(self) -> None:
        """End the processes of a killed cloud: a function's worker exits by itself only after its batch."""
        folders = tuple(f"{folder.resolve()}/" for folder in (self.temporary, self.sagemaker / "endpoints"))
        leftovers = [process for process in psutil.process_iter() if self._is_leftover(process, folders)]
        for process in leftovers:
            process.kill()
        psutil.wait_procs(leftovers, timeout=5)

    def _is_leftover(self, process: psutil.Process, folders: tuple[str, ...]) -> bool:
        """Return whether a process works in one of the folders, or runs a function's program from this home."""
        try:
            if process.pid == os.getpid() or process.uids().real != os.getuid():
                return False
            runs_function = any(part.startswith(f"{self.temporary}/") for part in process.cmdline())
            return runs_function or f"{process.cwd()}/".startswith(folders)
        except psutil.Error:
            return False


def unusable(root: Path, error: Exception) -> HomeError:
    """Return the error for a folder that the file system refuses."""
    number = error.errno if isinstance(error, OSError) else None
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    reason = _REASONS.get(number or 0, reason)
    hint = _HINTS.get(number or 0, f"Make sure that it is a folder, or {_ANOTHER}")
    return HomeError(root, f"The home {root} cannot be used: {reason}.", hint)

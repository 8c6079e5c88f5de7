"""Workers of functions that are forked from one process, which has imported their libraries (worker_wrapper.py)."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

WRAPPER = Path(__file__).with_name("worker_wrapper.py")
# A fork is not safe with the frameworks of macOS, so Python starts processes there anew by default:
# https://docs.python.org/3.11/library/multiprocessing.html#contexts-and-start-methods
AVAILABLE = sys.platform == "linux"
# Until the libraries are imported, on a machine that is busy.
_START_S = 60.0
# What a worker inherits from the shell that has started the cloud.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
# The user's AWS profiles are not for the functions.
NO_PROFILES = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


class ForkedWorker:
    """A worker, with the members of subprocess.Popen that MiniStack uses.

    Attributes:
        pid: Its process, which leads a group of its own.
        stdin: Its standard input, as text.
        stdout: Its standard output.
        stderr: Its standard error.
        returncode: Its exit status; None while it runs.
    """

    def __init__(self, pid: int, streams: tuple[int, int, int]) -> None:
        self.pid = pid
        self.stdin = os.fdopen(streams[0], "w", buffering=1, encoding="utf-8")
        self.stdout = os.fdopen(streams[1], encoding="utf-8", errors="replace")
        self.stderr = os.fdopen(streams[2], encoding="utf-8", errors="replace")
        self.returncode: int | None = None
        self._ended = threading.Event()

    def end(self, status: int) -> None:
        """Note that the process has ended."""
        self.returncode = status
        self._ended.set()

    def poll(self) -> int | None:
        """Return its exit status; None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit status once it has ended.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        self._ended.wait(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0)
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; to a process that has ended, none is sent."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Source:
    """The process that forks workers. It starts with the first one, and again if it was killed."""

    def __init__(self, program: tuple[str, ...] = ()) -> None:
        """Initialize; no process runs before the first worker.

        Args:
            program: What forks the processes, if they are others than workers: its command line up to the numbers of
                the socket for requests and of the pipe for statuses.
        """
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None
        self._workers: dict[int, ForkedWorker] = {}
        self._lock = threading.Lock()

    def fork(self, script: str, folder: str, variables: dict[str, str], pipe: int) -> ForkedWorker:
        """Return a new worker.

        Args:
            script: The program that it runs.
            folder: Where it runs.
            variables: Its environment.
            pipe: What closes when the local cloud ends.

        Raises:
            OSError: If there is no process to be had.
        """
        request = json.dumps({"script": script, "folder": folder, "variables": variables}).encode()
        with self._lock:
            try:
                return self._ask(request, pipe)
            except OSError:
                self._forget()
                return self._ask(request, pipe)

    def end(self) -> None:
        """End the process; the workers go on."""
        with self._lock:
            self._forget()

    def _ask(self, request: bytes, pipe: int) -> ForkedWorker:
        requests = self._requests or self._start(pipe)
        stdin, stdout, stderr = os.pipe(), os.pipe(), os.pipe()
        theirs, ours = (stdin[0], stdout[1], stderr[1]), (stdin[1], stdout[0], stderr[0])
        try:
            socket.send_fds(requests, [request], theirs)
            answer = requests.recv(64)
            if not answer:
                raise ConnectionError("the process that starts the functions has ended")
        except OSError:
            for end in ours:
                os.close(end)
            raise
        finally:
            for end in theirs:
                os.close(end)
        worker = self._workers[int(answer)] = ForkedWorker(int(answer), ours)
        return worker

    def _start(self, pipe: int) -> socket.socket:
        requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        requests.settimeout(_START_S)
        statuses, write = os.pipe()
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        program = self._program or (sys.executable, "-P", str(WRAPPER), str(pipe), "--fork")
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [*program, str(theirs.fileno()), str(write)],
                env=kept | NO_PROFILES,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(pipe, theirs.fileno(), write),
                start_new_session=True,
            )
        finally:
            theirs.close()
            os.close(write)
        self._requests, self._workers = requests, {}
        threading.Thread(target=self._follow, args=(statuses, self._workers), daemon=True).start()
        return requests

    def _follow(self, statuses: int, workers: dict[int, ForkedWorker]) -> None:
        """Note which workers have ended, until their parent ends: nobody would see the end of those that are left."""
        with open(statuses) as lines:
            for line in lines:
                pid, status = map(int, line.split())
                # A worker is known before the lock is free.
                with self._lock:
                    worker = workers.pop(pid, None)
                if worker is not None:
                    worker.end(status)
        with self._lock:
            left = list(workers.values())
        for worker in left:
            worker.kill()
            worker.end(-signal.SIGKILL)

    def _forget(self) -> None:
        if self._requests is not None:
            self._requests.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._requests = self._process = None

"""Runs jobs side by side: each one is a program of the container contract, from its start to its end."""

import contextlib
import logging
import os
import shutil
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import psutil
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sagemaker import programs
from localcloud.sagemaker.errors import AwsError
from localcloud.sagemaker.job_logs import JobLog
from localcloud.sagemaker.storage import CancelledError, StorageError

if TYPE_CHECKING:  # its import brings MiniStack's
    from localcloud.sagemaker.roles import Roles

logger = logging.getLogger(__name__)

GRACE_S = 120.0  # between SIGTERM and SIGKILL, as on AWS
_CLOSING_GRACE_S = 3.0
_TICK_S = 1.0
_NICENESS = 5
CAUSES = (StorageError, AwsError, OSError, ClientError, BotoCoreError, Boto3Error)


class End(NamedTuple):
    """How a program ended; status is 128 + N after signal N."""

    why: Literal["exited", "stopped", "timed out", "interrupted"]
    status: int


class Job(ABC):
    """One job. `run` is called in a thread of its own and tells the outcome by the job's record.

    `stopping` is set when the job is to end, `closing` before it when the whole cloud is to.
    """

    def __init__(self) -> None:
        self.stopping, self.closing = threading.Event(), threading.Event()

    @abstractmethod
    def run(self, threads: int) -> None:
        """Work from start to end; give up once `stopping` is set. threads: its share of cores."""

    @abstractmethod
    def settle_stopped(self) -> None:
        """It was stopped before `run`."""

    @abstractmethod
    def fail(self, reason: str) -> None:
        """It cannot go on."""


class Jobs:
    """At most `slots` jobs run at once; the others wait in the order of their arrival."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="loupe-job")
        self._jobs: dict[str, tuple[Job, Future[None]]] = {}
        self._lock = threading.Lock()

    def submit(self, arn: str, job: Job) -> None:
        """Run `job` when there is a slot."""
        with self._lock:
            self._jobs[arn] = job, self._pool.submit(self._run, arn, job)

    def stop(self, arn: str) -> None:
        """Ask a job to stop. One that still waits stops at once; after a job's end nothing happens."""
        with self._lock:
            job, future = self._jobs.get(arn, (None, None))
            if job is None or future is None:
                return
            job.stopping.set()
            waiting = future.cancel()
            if waiting:
                del self._jobs[arn]
        if waiting:
            job.settle_stopped()

    def close(self) -> None:
        """End every program; the records stay as they are, so that the jobs are started again."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            running = list(self._jobs.values())
        for job, _ in running:
            job.closing.set()
            job.stopping.set()
        deadline = time.monotonic() + _CLOSING_GRACE_S + 5
        for _, future in running:
            while not future.done() and time.monotonic() < deadline:
                time.sleep(0.02)

    def _run(self, arn: str, job: Job) -> None:
        with self._lock:
            busy = min(self.slots, len(self._jobs))
        try:
            if not job.closing.is_set():
                job.run(max(1, (os.cpu_count() or 1) // busy))
        except Exception as error:  # a job that never ends is the worst outcome of all
            logger.exception("%s", arn)
            job.fail(f"InternalServerError: {type(error).__name__}: {error}")
        finally:
            with self._lock:
                self._jobs.pop(arn, None)


def supervise(
    process: "subprocess.Popen[bytes]", job: Job, deadline: float, tick: Callable[[], None], grace_s: float
) -> End:
    """Wait for the program's end, or bring it about. `deadline` is a time.time(); `tick` is called at times."""
    why: Literal["exited", "stopped", "timed out", "interrupted"] = "exited"
    next_tick = time.monotonic() + _TICK_S
    while True:
        try:
            process.wait(timeout=0.1)
            break
        except subprocess.TimeoutExpired:
            pass
        if job.closing.is_set():
            why, grace_s = "interrupted", _CLOSING_GRACE_S
            break
        if job.stopping.is_set():
            why = "stopped"
            break
        if time.time() > deadline:
            why = "timed out"
            break
        if time.monotonic() > next_tick:
            tick()
            next_tick = time.monotonic() + _TICK_S
    programs.end(process, grace_s, hurry=job.closing)
    if job.closing.is_set() and why != "exited":
        why = "interrupted"
    status = process.returncode
    return End(why, status if status >= 0 else 128 - status)


class ProgramJob(Job):
    """A job that is one program: what training and processing jobs have in common."""

    def __init__(self, root: Path, repo: Path, roles: "Roles", role: str) -> None:
        """`root` takes the place of /opt/ml."""
        super().__init__()
        self.root, self._repo, self._roles, self._role = root, repo, roles, role

    def run(self, threads: int) -> None:
        """Fetch the input, run the program, bring away the output."""
        try:
            self.prepare()
            end = self._execute(threads)
            if end.why == "interrupted":
                return
            self.conclude(end)
        except CancelledError:
            if self.closing.is_set():
                return
            self.settle_stopped()
        except CAUSES as error:
            if self.closing.is_set():
                return
            self.fail(f"ClientError: {error}"[:1024])
        shutil.rmtree(self.root, ignore_errors=True)

    @abstractmethod
    def prepare(self) -> None:
        """Lay out the folder. Raises CancelledError once the job is stopped, or one of CAUSES."""

    @abstractmethod
    def program(self) -> tuple[list[str], dict[str, str]]:
        """Module with arguments, and the variables of the job's own."""

    @abstractmethod
    def log(self) -> JobLog:
        """Where the output goes."""

    @abstractmethod
    def deadline(self) -> float:
        """When the program must have ended, as time.time()."""

    @abstractmethod
    def tick(self) -> None:
        """About every second while the program runs."""

    @abstractmethod
    def conclude(self, end: End) -> None:
        """The program has ended."""

    def client(self, service: str) -> Any:
        """An AWS client under the job's role."""
        return self._roles.client(service, self._role)

    def reason(self, end: End, file: Path) -> str:
        """A FailureReason out of what the program left in `file`."""
        said = file.read_text(errors="replace").strip() if file.is_file() else ""
        tail = f", exit code: {end.status}"
        return f"AlgorithmError: {said}"[: 1024 - len(tail)] + tail

    def _execute(self, threads: int) -> End:
        command, own = self.program()
        environment = {name: programs.inside(value, self.root) for name, value in own.items()}
        if "OMP_NUM_THREADS" not in os.environ:
            environment = {"OMP_NUM_THREADS": str(threads)} | environment
        environment |= self._roles.environment(self._role)
        log = self.log()
        process = programs.start(
            [programs.inside(part, self.root) for part in command],
            self.root,
            self._repo,
            environment,
            subprocess.PIPE,
        )
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        with contextlib.suppress(psutil.Error):  # images that are judged meanwhile come first
            psutil.Process(process.pid).nice(min(19, os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS))
        log.follow(process.stdout)

        def tick() -> None:
            log.send()
            try:
                self.tick()
            except CAUSES as error:  # there will be a next time, and the job's end
                logger.warning("%s: %s", self.root.name, error)

        try:
            return supervise(process, self, self.deadline(), tick, GRACE_S)
        finally:
            programs.end(process, 0)
            log.finish()


def end_leftovers(folder: Path) -> None:
    """End what a killed cloud left running under `folder`: no job may run twice at once."""
    ours = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(f"{folder}/"):
                process.kill()
                ours.append(process)
        except psutil.Error:
            continue
    psutil.wait_procs(ours, timeout=5)


def remove_leftovers(folder: Path, kept: Collection[str]) -> None:
    """Remove the folders under `folder` of all jobs but those that are `kept`."""
    for root in folder.glob("*"):
        if root.name not in kept:
            shutil.rmtree(root, ignore_errors=True)

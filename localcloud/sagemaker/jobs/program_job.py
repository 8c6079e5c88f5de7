"""A job that is one program of the container contract: what training and processing jobs have in common."""

import logging
import os
import shutil
import subprocess
import time
from abc import abstractmethod
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psutil
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sagemaker import programs
from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.jobs.queue import CLOSING_GRACE_S, Job
from localcloud.sagemaker.program_log import ProgramLog
from localcloud.sagemaker.programs import Machine
from localcloud.sagemaker.storage import CancelledError, StorageError

logger = logging.getLogger(__name__)

GRACE_S = 120.0  # between SIGTERM and SIGKILL, as on AWS
MAX_REASON_LENGTH = 1024
# The errors that fail a job with their own message.
FAILURES = (StorageError, AwsError, OSError, ClientError, BotoCoreError, Boto3Error)

_TICK_S = 1.0
_POLL_S = 0.1

_Cause = Literal["exited", "stopped", "timed out", "interrupted"]


class ProgramEnd(NamedTuple):
    """How a program ended.

    Attributes:
        cause: It exited by itself, the job was stopped, its time was over, or the cloud stopped.
        exit_status: The exit status; 128 + N after signal N.
    """

    cause: _Cause
    exit_status: int


class ProgramJob(Job):
    """A job that is one program.

    Attributes:
        root: The folder that takes the place of /opt/ml.
        machine: What every program shares.
    """

    def __init__(self, root: Path, machine: Machine, role: str) -> None:
        """Initialize a run of the program.

        Args:
            root: The folder that takes the place of /opt/ml.
            machine: What every program shares.
            role: The ARN of the role that the program acts as.
        """
        super().__init__()
        self.root, self.machine, self._role = root, machine, role

    def run(self, threads: int) -> None:
        """Download the input, run the program and upload the output."""
        try:
            self.prepare()
            end = self._execute(threads)
            if end.cause == "interrupted" or self.closing.is_set():
                return
            self.finish(end)
        except CancelledError:
            if self.closing.is_set():
                return
            self.mark_stopped()
        except FAILURES as error:
            if self.closing.is_set():
                return
            self.mark_failed(f"ClientError: {error}"[:MAX_REASON_LENGTH])
        # When the cloud stops, what was written just now is not recorded: the next start needs the checkpoints.
        if not self.closing.is_set():
            shutil.rmtree(self.root, ignore_errors=True)

    @abstractmethod
    def prepare(self) -> None:
        """Create the folder with the input.

        Raises:
            CancelledError: If the job is stopped meanwhile.
            Exception: One of FAILURES.
        """

    @abstractmethod
    def program(self) -> tuple[list[str], dict[str, str]]:
        """Return the module with its arguments, and the job's own variables."""

    @abstractmethod
    def image(self) -> tuple[str, str]:
        """Return the name of the image, and the instance type."""

    @abstractmethod
    def log(self) -> ProgramLog:
        """Return where the output goes."""

    @abstractmethod
    def deadline(self) -> float:
        """Return when the program must have ended, in seconds since 1970."""

    @abstractmethod
    def tick(self) -> None:
        """Do what is due about every second while the program runs."""

    @abstractmethod
    def finish(self, end: ProgramEnd) -> None:
        """Upload the output and write the final status."""

    def client(self, service: str) -> Any:
        """Return an AWS client with the permissions of the job's role."""
        return self.machine.roles.client(service, self._role)

    def failure_reason(self, end: ProgramEnd, text: str) -> str:
        """Return a FailureReason with what the program has said about its failure."""
        tail = f", exit code: {end.exit_status}"
        return f"AlgorithmError: {text}"[: MAX_REASON_LENGTH - len(tail)] + tail

    def _execute(self, threads: int) -> ProgramEnd:
        command, variables = self.program()
        environment = {name: programs.to_local(value, self.root) for name, value in variables.items()}
        if "OMP_NUM_THREADS" not in os.environ:
            environment = {"OMP_NUM_THREADS": str(threads)} | environment
        environment |= self.machine.roles.environment(self._role)
        log = self.log()
        image, instance_type = self.image()
        if error := self.machine.images.exec_error(image, self._role, instance_type):
            log.write(error)
            log.finish()
            return ProgramEnd("exited", 1)
        process = programs.start(
            [programs.to_local(part, self.root) for part in command],
            self.root,
            self.machine.repo,
            environment,
            subprocess.PIPE,
        )
        assert process.stdout is not None  # noqa: S101 - a pipe was requested
        programs.put_behind(process)
        log.follow(process.stdout)

        def tick() -> None:
            log.send()
            try:
                self.tick()
            except FAILURES as error:  # the next tick, or the job's end, tries again
                logger.warning("%s: %s", self.root.name, error)

        try:
            return supervise(process, self, self.deadline(), tick, GRACE_S)
        finally:
            programs.end(process, 0)
            log.finish()


def supervise(
    process: "subprocess.Popen[bytes]", job: Job, deadline: float, tick: Callable[[], None], grace_s: float
) -> ProgramEnd:
    """Wait until the program ends; end it when the job is stopped or its time is over.

    Args:
        process: The program.
        job: The job, which may be stopped.
        deadline: When the program must have ended, in seconds since 1970.
        tick: Called about every second.
        grace_s: Seconds between SIGTERM and SIGKILL.
    """
    cause: _Cause = "exited"
    next_tick = time.monotonic() + _TICK_S
    while True:
        try:
            process.wait(timeout=_POLL_S)
            break
        except subprocess.TimeoutExpired:
            pass
        if job.closing.is_set():
            cause, grace_s = "interrupted", CLOSING_GRACE_S
            break
        if job.stopping.is_set():
            cause = "stopped"
            break
        if time.time() > deadline:
            cause = "timed out"
            break
        if time.monotonic() > next_tick:
            tick()
            next_tick = time.monotonic() + _TICK_S
    programs.end(process, grace_s, kill_now=job.closing)
    if job.closing.is_set() and cause != "exited":
        cause = "interrupted"
    status = process.returncode
    return ProgramEnd(cause, status if status >= 0 else 128 - status)


def end_leftovers(folder: Path) -> None:
    """End the programs that a killed cloud left running under `folder`: no job may run twice at once."""
    leftovers = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(f"{folder}/"):
                process.kill()
                leftovers.append(process)
        except psutil.Error:
            continue
    psutil.wait_procs(leftovers, timeout=5)


def remove_leftovers(folder: Path, kept: Collection[str]) -> None:
    """Remove the jobs' folders under `folder`, except those named in `kept`."""
    for root in folder.glob("*"):
        if root.name not in kept:
            shutil.rmtree(root, ignore_errors=True)

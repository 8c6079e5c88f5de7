"""Runs a few jobs at once, each in a thread; the others wait."""

import logging
import os
import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future

from localcloud.daemon_pool import DaemonPool

logger = logging.getLogger(__name__)

CLOSING_GRACE_S = 3.0  # between SIGTERM and SIGKILL when the whole cloud stops
_CLOSING_MARGIN_S = 1.0  # for what follows on the end of the program


class Job(ABC):
    """One job. `run` is called in its own thread; the outcome is in the job's record.

    Attributes:
        stopping: Set when the job must stop.
        closing: Set before `stopping` when the whole cloud stops.
    """

    def __init__(self) -> None:
        self.stopping, self.closing = threading.Event(), threading.Event()

    @abstractmethod
    def run(self, threads: int) -> None:
        """Run the job from start to end, or until `stopping` is set.

        Args:
            threads: How many of the machine's cores it may use.
        """

    @abstractmethod
    def mark_stopped(self) -> None:
        """Write into the record that the job was stopped before its program started."""

    @abstractmethod
    def mark_failed(self, reason: str) -> None:
        """Write into the record that the job failed."""


class JobQueue:
    """At most `slots` jobs run at once; the others wait in the order in which they arrived.

    Attributes:
        slots: How many jobs run at once.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._pool = DaemonPool(slots, thread_name_prefix="loupe-job")
        self._jobs: dict[str, tuple[Job, Future[None]]] = {}
        self._lock = threading.Lock()

    def submit(self, arn: str, job: Job) -> None:
        """Run a job as soon as a slot is free."""
        with self._lock:
            self._jobs[arn] = job, self._pool.submit(self._run, arn, job)

    def stop(self, arn: str) -> None:
        """Ask a job to stop. A waiting job stops at once; for a job that has ended nothing happens."""
        with self._lock:
            job, future = self._jobs.get(arn, (None, None))
            if job is None or future is None:
                return
            job.stopping.set()
            was_waiting = future.cancel()
            if was_waiting:
                del self._jobs[arn]
        if was_waiting:
            job.mark_stopped()

    def running(self) -> int:
        """Return how many jobs run or wait."""
        with self._lock:
            return len(self._jobs)

    def close(self) -> bool:
        """End every job's program; the records do not change, so that the jobs start again with the next cloud.

        Returns:
            Whether all jobs' threads have ended too.
        """
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            jobs = list(self._jobs.values())
        for job, _ in jobs:
            job.closing.set()
            job.stopping.set()
        return self._pool.ended(CLOSING_GRACE_S + _CLOSING_MARGIN_S)

    def _run(self, arn: str, job: Job) -> None:
        with self._lock:
            running = min(self.slots, len(self._jobs))
        try:
            if not job.closing.is_set():
                job.run(max(1, (os.cpu_count() or 1) // running))
        except Exception as error:  # otherwise the job would never end
            logger.exception("%s", arn)
            job.mark_failed(f"InternalServerError: {type(error).__name__}: {error}")
        finally:
            with self._lock:
                self._jobs.pop(arn, None)

"""A thread pool that never keeps the process alive."""

import itertools
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Task = Callable[[], None]
_numbers = itertools.count(1)


class DaemonPool(ThreadPoolExecutor):
    """A ThreadPoolExecutor, as asyncio requires one, with daemon threads.

    Python waits for the threads of every other ThreadPoolExecutor when the process ends, so one that waits for a job
    or for an answer keeps the process alive.
    """

    def __init__(self, max_workers: int, thread_name_prefix: str = "loupe-pool") -> None:
        """Initialize a pool; a thread starts when there is work for it.

        Args:
            max_workers: How many threads run at once.
            thread_name_prefix: The beginning of the threads' names.
        """
        # Not the base class's: nothing of it is used, because its threads are registered with Python's end.
        self._limit, self._prefix = max_workers, thread_name_prefix
        self._tasks: queue.SimpleQueue[tuple[Future[Any], _Task] | None] = queue.SimpleQueue()
        self._daemons: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._closed = False

    def submit(
        self, fn: Callable[_Parameters, _Result], /, *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> Future[_Result]:
        """Run a function as soon as a thread is free.

        Raises:
            RuntimeError: After `shutdown`.
        """
        future: Future[_Result] = Future()

        def task() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - the future's owner gets it
                future.set_exception(error)

        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._tasks.put((future, task))
            if not self._idle.acquire(blocking=False) and len(self._daemons) < self._limit:
                name = f"{self._prefix}-{next(_numbers)}"
                thread = threading.Thread(target=self._work, daemon=True, name=name)
                self._daemons.append(thread)
                thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept nothing more, and end the threads once the accepted work is done.

        Args:
            wait: Return when the threads have ended.
            cancel_futures: Cancel what has not begun.
        """
        with self._lock:
            self._closed = True
            while cancel_futures:
                try:
                    waiting = self._tasks.get_nowait()
                except queue.Empty:
                    break
                if waiting is not None:
                    waiting[0].cancel()
            for _ in self._daemons:
                self._tasks.put(None)
        if wait:
            for thread in self._daemons:
                thread.join()

    def ended(self, timeout_s: float) -> bool:
        """Wait, at most this long, for the threads to end after `shutdown`; return whether they have."""
        deadline = time.monotonic() + timeout_s
        for thread in self._daemons:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._daemons)

    def _work(self) -> None:
        while (item := self._tasks.get()) is not None:
            future, task = item
            if future.set_running_or_notify_cancel():
                task()
            # A reference would keep the result alive until the next task.
            del item, future, task
            self._idle.release()

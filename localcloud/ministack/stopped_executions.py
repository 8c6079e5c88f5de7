"""Lets the executions of Step Functions end with the cloud, so that the next start continues them.

An execution waits for jobs, for answers and for time, each in its own threads. At a stop every one of these waits ends,
and what follows from that (a task without a result, a killed function) does not happen: the executions are saved as
they were when the stop began.
"""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

from ministack.services import stepfunctions

from localcloud import stopping
from localcloud.daemon_pool import DaemonPool

_STATES = ("pass", "task", "choice", "wait", "parallel", "map")
_COPY_ATTEMPTS = 20


def apply() -> None:
    """Patch MiniStack, before its Step Functions are patched in any other way."""
    # A Map and a task with a time limit run in pools, whose threads would keep the process alive.
    stepfunctions.ThreadPoolExecutor = DaemonPool
    for kind in _STATES:
        name = f"_execute_{kind}"
        setattr(stepfunctions, name, _until_stopped(getattr(stepfunctions, name)))
    for name in ("_run_execution", "_run_sub_machine"):
        setattr(stepfunctions, name, _ended_by_stop(getattr(stepfunctions, name)))
    stepfunctions._scaled_sleep = lambda seconds: stopping.pause(seconds * stepfunctions._SFN_WAIT_SCALE)


def freeze() -> None:
    """Save the executions as they are now from now on, and wake those that wait for a token's answer.

    Call this once `stopping` is set.
    """
    state = _copy_of_state()
    stepfunctions.get_state = lambda: state
    for waiting in list(stepfunctions._task_tokens.values()):
        waiting["event"].set()


def _copy_of_state() -> Any:
    for _ in range(_COPY_ATTEMPTS):
        # Another thread may change a dictionary while it is copied.
        with contextlib.suppress(RuntimeError):
            return stepfunctions.get_state()
        time.sleep(0.01)
    return stepfunctions.get_state()


def _until_stopped(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Return a state's function that neither begins nor ends a state once the cloud stops."""

    @functools.wraps(execute)
    def execute_until_stopped(*arguments: Any, **options: Any) -> Any:
        with _check_at_both_ends():
            return execute(*arguments, **options)

    return execute_until_stopped


@contextlib.contextmanager
def _check_at_both_ends() -> Iterator[None]:
    stopping.check()
    try:
        yield
    finally:
        # Also after an error: a function that was killed, or a branch that did not run, has not failed.
        stopping.check()


def _ended_by_stop(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return a thread's function that ends silently when the cloud stops."""

    @functools.wraps(run)
    def run_until_stopped(*arguments: Any, **options: Any) -> Any:
        with contextlib.suppress(stopping.CloudStoppedError):
            return run(*arguments, **options)
        return None

    return run_until_stopped

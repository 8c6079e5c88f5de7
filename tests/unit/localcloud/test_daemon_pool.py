"""A pool of daemon threads: like ThreadPoolExecutor, but no work keeps the process alive."""

import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import pytest

from localcloud.daemon_pool import DaemonPool
from localcloud.stopping import CloudStoppedError


def test_results_errors_and_order_are_as_expected() -> None:
    def fail() -> None:
        raise CloudStoppedError

    with DaemonPool(2) as pool:
        assert list(pool.map(lambda number: number * 2, range(20))) == list(range(0, 40, 2))
        with pytest.raises(CloudStoppedError):
            pool.submit(fail).result()
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(fail)


def test_no_more_work_runs_at_once_than_there_are_workers() -> None:
    running, most, lock = 0, 0, threading.Lock()
    three, never = threading.Barrier(3, timeout=60), threading.Event()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        three.wait()
        # Time for a fourth that must not come.
        never.wait(0.05)
        with lock:
            running -= 1

    with DaemonPool(3) as pool:
        for _ in range(9):
            pool.submit(work)
    assert most == 3


def test_a_shutdown_cancels_what_has_not_begun() -> None:
    begun, release = threading.Event(), threading.Event()
    pool = DaemonPool(1)

    def block() -> None:
        begun.set()
        release.wait(60)

    first = pool.submit(block)
    second = pool.submit(block)
    begun.wait(60)
    pool.shutdown(wait=False, cancel_futures=True)
    assert not pool.ended(0.01)
    with pytest.raises(CancelledError):
        second.result()
    release.set()
    first.result()
    assert pool.ended(60)


def test_work_that_never_ends_does_not_keep_the_process_alive() -> None:
    program = (
        "import threading; from localcloud.daemon_pool import DaemonPool; "
        "DaemonPool(1).submit(threading.Event().wait)"
    )
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)

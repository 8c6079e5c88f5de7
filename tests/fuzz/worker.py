"""The process in which a target is tried: whatever an input does to it, the fuzzer itself goes on."""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

from tqdm import tqdm

from tests.fuzz.target import Target


def peak_mib() -> float:
    """Return the peak memory of this process.

    On Linux the figure of getrusage begins with what the parent took when it started this process:
    https://man7.org/linux/man-pages/man2/getrusage.2.html
    """
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def wrong_with(target: Target, data: bytes) -> str | None:
    """Try an input. Returns what went wrong; None if nothing did."""
    try:
        return target.broken(data)
    # Whatever a target does not promise is the finding.
    except Exception:  # noqa: BLE001
        return traceback.format_exc()


def work(target: Target, seed: int, folder: str, connection: Connection) -> None:
    """Try inputs until the other end is closed. Sends each input before it is tried, and then what went wrong.

    Args:
        target: The target.
        seed: The number of the first input.
        folder: Where to work. Not the repository, because an input may name a file.
        connection: To the fuzzer.
    """
    warnings.simplefilter("ignore")
    # Libraries report each error there.
    for output in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    os.chdir(folder)
    # Otherwise progress bars have a lock of all processes, which one that is ended does not give back.
    tqdm.set_lock(threading.RLock())
    for data in target.seeds():
        _try(target, data, connection, bound=None)
    gc.collect()
    bound = peak_mib() + target.mib
    number = seed
    while True:
        number += 1
        _try(target, target.input(number), connection, bound)


def _try(target: Target, data: bytes, connection: Connection, bound: float | None) -> None:
    connection.send_bytes(b"i" + data)
    wrong = wrong_with(target, data)
    if bound is not None and (peak := peak_mib()) > bound:
        wrong = wrong or f"{peak:.0f} MiB of memory, {bound:.0f} are its bound"
    connection.send_bytes(b"r" + (wrong or "").encode("utf-8", "replace"))
    if wrong and bound is not None and peak_mib() > bound:
        # The peak cannot be reset, so the next input could not be measured.
        raise SystemExit(0)


def resident_mib(pid: int) -> float:
    """Return the memory that a process has now; 0 if that is not known."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * resource.getpagesize() / (1 << 20)

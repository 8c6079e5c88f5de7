"""A child process that ends with its parent, however the parent ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends.

    Only Linux can do that. Elsewhere torch's workers ask every few seconds whether their parent still runs.

    Args:
        parent: The process that started this one. If it has ended already, this process ends at once.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)

"""The memory of a training process."""

from __future__ import annotations

import ctypes
import resource
import sys

import torch

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # parameters of mallopt, as in malloc.h


def keep_freed_memory() -> None:
    """Make glibc keep the memory that a step frees, since the next step needs the same amount again.

    By default each large tensor is a separate mapping, and the kernel clears its pages in every step.
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):  # musl has no mallopt
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def peak_memory_mib(device: torch.device) -> int:
    """Return the peak memory so far, in MiB: of the GPU on a CUDA device, else of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device)) // 2**20
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used // (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux KiB

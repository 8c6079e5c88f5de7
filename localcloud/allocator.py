"""Keeps the C library from holding on to memory that Python has given back.

glibc gives each of the cloud's many threads a heap of its own, up to eight for each core, and keeps ever larger blocks
in them: half of what the cloud took for each image was such rests. With two heaps, and large blocks mapped and unmapped
one by one, the process is as large as what it holds. https://man7.org/linux/man-pages/man3/mallopt.3.html
"""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_ARENAS = 2
_MAPPED_BYTES = 1 << 20


def give_memory_back() -> bool:
    """Limit what the C library keeps, before threads start. Return whether it can; only glibc can."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_ARENA_MAX, _ARENAS)) and bool(mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES))

"""The memory that a function has left: a picture that needs more is not made, and the function goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# What the runtime needs beside the picture, while it is made.
_RESERVE = 48 << 20


@contextmanager
def bounded(environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Let decoders that ask for more memory than the function has left fail, with MemoryError or their own error.

    Lambda ends a function that takes more, in the middle of its work, and with it the alert that the picture is for.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html

    The limit is one of Linux (RLIMIT_DATA of getrlimit(2)). Elsewhere, and outside Lambda, there is none.

    Args:
        environment: Says how much memory the function has.
    """
    has, now = int(environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 0)) << 20, _status()
    if not has or not now:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    left = max(has - now["VmRSS"] - _RESERVE, 0)
    bound = now["VmData"] + left
    resource.setrlimit(resource.RLIMIT_DATA, (_lower(bound, before[1]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _lower(bound: int, hard: int) -> int:
    return bound if hard < 0 else min(bound, hard)


def _status() -> dict[str, int]:
    """Return the sizes of this process in bytes, by Linux's names; empty elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines if line.startswith("Vm"))
    return {name.removesuffix(":"): int(number) << 10 for name, number, _ in fields}

"""A large picture is drawn at the size that is drawn: no kind of file takes a function's memory away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.large_pictures import KINDS, SIDE

pytestmark = [
    pytest.mark.promise(20, 21),
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's figures of a process are Linux's"),
]
ROOT = Path(__file__).parents[3]
MIB = 1 << 20
FUNCTION = 1024 * MIB
# Python, boto3 and the file itself.
OTHERS = 130 * MIB


def peaks(side: int, *arguments: str) -> dict[str, int]:
    """Return the bytes that each kind of picture took at most."""
    output = subprocess.run(
        [sys.executable, "-m", "tests.large_pictures", "--side", str(side), *arguments],
        cwd=ROOT,
        # Otherwise the C library keeps what is free, and a new peak hides in it.
        env={**os.environ, "PYTHONPATH": str(ROOT / "functions"), "MALLOC_MMAP_THRESHOLD_": "65536"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    lines = [line.split(" ", 1) for line in output.splitlines()]
    return {kind: int(peak) for peak, kind in lines}


def test_every_kind_of_picture_keeps_its_bound(tried):
    side = 1200
    found = peaks(side, "--thumbnails")
    tried(inputs=len(found))
    assert found.keys() == KINDS.keys()
    too_much = {
        kind: peak / side**2 for kind, peak in found.items() if peak > KINDS[kind].bytes * side**2 + 2 * MIB
    }
    assert not too_much


def test_the_bounds_leave_room_for_every_picture_in_the_memory_of_a_function():
    assert max(kind.bytes for kind in KINDS.values()) * SIDE**2 < FUNCTION - OTHERS


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_of_a_hundred_megapixels_fits_into_a_function(kind, tried):
    found = peaks(SIDE, kind)
    tried(inputs=1)
    assert found[kind] < FUNCTION - OTHERS


# In a process of its own: that of the tests may keep enough of what it has freed.
_BOUNDED = """
from pathlib import Path
from inspection.memory import bounded

MIB = 1 << 20
status = Path("/proc/self/status").read_text().splitlines()
used = next(int(line.split()[1]) >> 10 for line in status if line.startswith("VmRSS"))
with bounded({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(used + 100)}):
    assert len(bytearray(20 * MIB)) == 20 * MIB
    try:
        bytearray(200 * MIB)
    except MemoryError:
        print("refused")
assert len(bytearray(200 * MIB)) == 200 * MIB
with bounded({}):
    assert len(bytearray(200 * MIB)) == 200 * MIB
print("goes on")
"""


def test_a_picture_that_needs_more_than_is_left_fails_and_the_process_goes_on():
    done = subprocess.run(
        [sys.executable, "-c", _BOUNDED],
        env={**os.environ, "PYTHONPATH": str(ROOT / "functions")},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split("\n") == ["refused", "goes on", ""], done.stderr

"""What the C library keeps of the memory that Python gives back."""

import platform
import subprocess
import sys

import pytest

# Many threads take large blocks at the same time; then the C library tells of its heaps, in XML.
_PROGRAM = """
import ctypes, sys, threading
from localcloud.allocator import give_memory_back
if sys.argv[1] == "limited":
    assert give_memory_back()
together = threading.Barrier(16)
def work():
    together.wait()
    for _ in range(300):
        bytes(30_000)
threads = [threading.Thread(target=work) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
library = ctypes.CDLL(None)
library.fdopen.restype = ctypes.c_void_p
output = ctypes.c_void_p(library.fdopen(1, b"w"))
library.malloc_info(0, output)
library.fflush(output)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these heaps")
def test_many_threads_do_not_get_a_heap_each() -> None:
    def heaps(how: str) -> int:
        command = [sys.executable, "-c", _PROGRAM, how]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return told.count("<heap nr=")

    assert heaps("usual") > 2
    assert heaps("limited") <= 2

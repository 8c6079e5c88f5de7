"""A wall clock that jumps, for the processes of a local cloud and of its functions.

The library clock.c is compiled once for a test run. A process that is started with `Clock.environment` follows
`Clock.jump` from then on; the test's own clock stays.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """A clock that tests set.

    Attributes:
        environment: The variables of the processes that follow it; empty without a C compiler.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "offset"
        self.jump(0)
        self.environment: dict[str, str] = {}
        library = folder / "clock.so"
        if compiler := shutil.which("cc"):
            subprocess.run(
                [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE), "-ldl"], check=True
            )
            self.environment = {"LD_PRELOAD": str(library), "LOUPE_TEST_CLOCK": str(self._file)}

    def jump(self, seconds: int) -> None:
        """Set the clock to the real time and so many seconds."""
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, struct.pack("q", seconds), 0)
        finally:
            os.close(descriptor)

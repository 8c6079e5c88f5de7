"""The local cloud in the background: `loupe up --detach`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from localcloud import connection
from loupe.errors import LoupeError

_LOG = "up.log"
# The first line that `loupe up` prints.
_SERVING = re.compile(r"^Loupe is running on (\S+);", re.MULTILINE)
_POLL_SECONDS = 0.1
_TIMEOUT_SECONDS = 180.0


@dataclass(frozen=True)
class Detached:
    """A local cloud in the background.

    Attributes:
        pid: Its process.
        endpoint_url: Its address.
        log: The file with what `loupe up` prints.
        inspected_again: Images that it has announced again, because their announcement was lost.
    """

    pid: int
    endpoint_url: str
    log: Path
    inspected_again: int = 0


def start(home: Path, model: Path | None, port: int | None, empty: bool = False) -> Detached:
    """Start `loupe up` in the background, and return once it serves.

    Args:
        home: The local cloud's private folder.
        model: The model to serve; None for the one that serves, or the starter.
        port: The port; None for any.
        empty: Deploy nothing into it.

    Raises:
        LoupeError: It ended instead; the message is its own.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = home / _LOG
    options = [f"--home={home}"]
    options += [f"--model={model}"] if model else []
    options += [f"--port={port}"] if port else []
    options += ["--empty"] if empty else []
    # A file of its own until it serves: a second `up` on the same home must not empty the first one's log.
    starting = home / f"{_LOG}.{os.getpid()}"
    with starting.open("wb") as output:
        # In its own session, so that it survives this terminal.
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "loupe", "up", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        endpoint_url = _wait(process, starting)
        starting.rename(log)
    except BaseException:
        process.terminate()
        starting.unlink(missing_ok=True)
        raise
    return Detached(process.pid, endpoint_url, log, connection(home).inspected_again)


def _wait(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the cloud's address once it serves."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if serving := _SERVING.search(log.read_text(errors="replace")):
            return serving[1]
        if process.poll() is not None:
            text = log.read_text(errors="replace").strip()
            message, _, hint = text.removeprefix("loupe: ").partition("\n")
            raise LoupeError(message or f"loupe up ended with status {process.returncode}", hint.strip())
        time.sleep(_POLL_SECONDS)
    raise LoupeError(f"the local cloud did not serve within {_TIMEOUT_SECONDS:.0f} s", f"See {log}.")

"""Run a program of the container as a child process, and follow what it reports."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loupe.errors import LoupeError

# A training that is stopped writes a checkpoint.
_STOP_SECONDS = 30.0
_ERROR = "loupe: "


def run(module: str, arguments: list[str], log: Path, on_event: Callable[[dict[str, Any]], None]) -> None:
    """Run `python -m module` until it ends.

    Ctrl+C, which is a KeyboardInterrupt here, stops the program, too, and goes on when it has ended.

    Args:
        module: The program's module.
        arguments: Its command line; the program must print JSON lines.
        log: A file for all that it prints.
        on_event: Receives each JSON document.

    Raises:
        LoupeError: The program failed; the message is its own.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(  # noqa: S603
            # -P: a file of the user's folder, such as a training.py, does not take the place of ours.
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            encoding="utf-8",
            errors="replace",
            # The terminal's Ctrl+C reaches this process alone, which hands it on once.
            start_new_session=True,
        )
        try:
            for line in process.stdout or ():
                output.write(line)
                output.flush()
                if (event := _event(line)) is not None:
                    on_event(event)
            status = process.wait()
        except BaseException:
            _stop(process)
            raise
    if status:
        raise _failure(module, status, log)


def _event(line: str) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        # What it still prints must not fill the pipe.
        process.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _failure(module: str, status: int, log: Path) -> LoupeError:
    """Return the error that the program has printed last; without one, the last line of its output."""
    text = log.read_text(encoding="utf-8", errors="replace").rstrip()
    lines = text.splitlines()
    starts = [index for index, line in enumerate(lines) if line.startswith(_ERROR)]
    if starts:
        message, *hints = lines[starts[-1] :]
        hint = "\n".join(line.strip() for line in hints if line.startswith("       "))
        return LoupeError(message.removeprefix(_ERROR), hint or f"Its whole output: {log}")
    if status < 0:
        name = signal.Signals(-status).name
        reason = f"was ended by {name}" + (": the memory was probably full" if name == "SIGKILL" else "")
    else:
        reason = f"failed: {lines[-1] if lines else f'status {status}'}"
    return LoupeError(f"{module} {reason}", f"Its whole output: {log}")

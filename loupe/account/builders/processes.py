"""Run a program of this machine, line by line."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from contract.text import plain
from loupe.errors import LoupeError

_SHOWN = 8  # of the last lines, when a program fails
_END_SECONDS = 10


def follow(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    on_line: Callable[[str], None],
    secret: str | None = None,
) -> None:
    """Run a program, and hand over each line that it writes.

    Args:
        command: The program and its arguments.
        folder: Where it runs.
        environment: Its whole environment.
        on_line: Called with each line of its output and errors.
        secret: What it reads on its standard input, such as a password. It is in no argument and in no line.

    Raises:
        LoupeError: It cannot be started, or ends with an error; the message has its last lines.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - our own words, and names that ECR has accepted
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE if secret is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise LoupeError(f"{command[0]} cannot be started: {error}") from error
    last: deque[str] = deque(maxlen=_SHOWN)
    try:
        if process.stdin is not None:
            _tell(process, secret or "")
        for line in process.stdout or ():
            text = plain(line.rstrip())
            if secret:
                text = text.replace(secret, "***")
            last.append(text)
            on_line(text)
        status = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()
    if status:
        said = "\n".join(last) or "it said nothing"
        raise LoupeError(f"{' '.join(command[:3])} ended with {status}:\n{said}")


def _tell(process: subprocess.Popen[str], secret: str) -> None:
    """Write the secret; a program that ends before it reads has its own message."""
    assert process.stdin is not None  # noqa: S101 - for mypy
    try:
        process.stdin.write(secret)
        process.stdin.close()
    except BrokenPipeError:
        pass


def answers(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a program runs and ends without an error; it may take 30 s."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            command, env=dict(environment), capture_output=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0

"""The programs that deploy: sam, and uv with which the functions' packages are built.

In a checkout they are those of `make`. An installed package installs them once, with hashes, into the user's cache:
sam pins dependencies of its own, so it lives in an environment of its own.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path

from localcloud.sources import REPOSITORY
from loupe.errors import LoupeError

_REQUIREMENTS = REPOSITORY / "requirements"
_SECONDS = 900


def missing() -> list[str]:
    """Return the programs that must be installed by the user."""
    return [program for program in ("make",) if shutil.which(program) is None]


def sam(on_line: Callable[[str], None]) -> Path:
    """Return the program sam; it is installed if it is not there.

    Raises:
        LoupeError: It cannot be installed.
    """
    own = REPOSITORY / ".tools" / "sam" / "bin" / "sam"
    if own.is_file():
        return own
    # pip refuses what uv has locked for sam: a requirement with extras that is locked without them.
    program = uv(on_line)
    return _installed("sam", lambda python: [str(program), "pip", "install", "--python", python], on_line)


def uv(on_line: Callable[[str], None]) -> Path:
    """Return the program uv; it is installed if it is not there.

    Raises:
        LoupeError: It cannot be installed.
    """
    beside = Path(sys.executable).with_name("uv")
    if beside.is_file():
        return beside
    found = shutil.which("uv")
    if found:
        return Path(found)
    pip = ("-m", "pip", "install", "--disable-pip-version-check")
    return _installed("uv", lambda python: [python, *pip], on_line)


def _installed(name: str, installer: Callable[[str], list[str]], on_line: Callable[[str], None]) -> Path:
    """Return a program of the user's cache, and install it there first if it is not.

    Args:
        name: The program.
        installer: Returns the command that installs into the environment of a Python.
        on_line: Called with what is done.
    """
    requirements = _REQUIREMENTS / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = user_cache_path("loupe", appauthor=False) / "tools" / f"{name}-{digest}"
    program, done = folder / "bin" / name, folder / ".done"
    if done.is_file():
        return program
    on_line(f"installing {name} into {folder}")
    try:
        # An installation that was interrupted is begun again.
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)])
        _run(
            [
                *installer(str(folder / "bin" / "python")),
                "--quiet",
                "--require-hashes",
                "-r",
                str(requirements),
            ]
        )
        done.touch()
    except (OSError, subprocess.SubprocessError) as error:
        output = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise LoupeError(
            f"{name} cannot be installed: {output[-1]}",
            "Check the connection to the package index, or run the command in a checkout (make check).",
        ) from error
    return program


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)  # noqa: S603

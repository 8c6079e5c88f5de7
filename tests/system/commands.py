"""The loupe command in the tests' own process.

A process of its own takes a second of a core, and most of that imports boto3 again. Only what needs a process (a local
cloud, a signal, the shell) starts one: `test_chain.loupe`, `test_first_hour.Newcomer.run`.
"""

import contextlib
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from localcloud.sources import REPOSITORY
from loupe import cli


def loupe(*arguments: str, home: Path, folder: Path = REPOSITORY) -> "subprocess.CompletedProcess[str]":
    """Run a command on the local cloud of a home, as `main` does, and return its status and what it has printed.

    Args:
        arguments: The command line after `loupe`.
        home: The local cloud's home.
        folder: Where the command is run.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        _variable("LOUPE_HOME", str(home)),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = cli.run(arguments)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before

"""The loupe command in the tests' own process.

A process of its own takes a second of a core, and most of that imports boto3 again. Only what needs a process (a local
cloud, a signal, the shell) starts one: `test_chain.loupe`, `test_first_hour.Newcomer.run`.
"""

import io
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

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
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("LOUPE_HOME", str(home))
        patch.chdir(folder)
        status = cli.run(arguments)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

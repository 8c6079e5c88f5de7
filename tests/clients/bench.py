"""Runs the programs of users, each in the environment that it is installed in, against the local cloud."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud import Connection

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "scripts"
GUARD = Path(__file__).parent / "guard"
# A quiet machine needs a tenth of it.
_PATIENCE_S = 900


class FailedError(AssertionError):
    """A program has failed; the message has what it printed."""


@dataclass(frozen=True)
class Bench:
    """Where the programs run.

    Attributes:
        cloud: The local cloud.
        home: Its folder.
        environment: What `loupe env` prints for it, and nothing else of the shell that runs the tests.
        folder: The programs' home and working folder, private to the tests.
    """

    cloud: Connection
    home: Path
    environment: dict[str, str]
    folder: Path

    @property
    def _connections(self) -> Path:
        return self.folder / "connections"

    def variables(self, **more: str) -> dict[str, str]:
        """Return the whole environment of a program."""
        machine = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {
            **machine,
            "HOME": str(self.folder),
            "PYTHONPATH": str(GUARD),
            "LOUPE_TEST_CONNECTIONS": str(self._connections),
            # Two cores, and several programs at once.
            "OMP_NUM_THREADS": "1",
            **self.environment,
            **more,
        }

    def script(self, tool: str, name: str, *arguments: str, **variables: str) -> Any:
        """Run a program of scripts/ to its end, and return what it printed in its last line, as JSON.

        Args:
            tool: The environment in .tools/ that has what it imports; "" for that of the tests.
            name: Its file, without ".py".
            *arguments: Its arguments.
            **variables: Variables besides those of `loupe env`.

        Raises:
            FailedError: It failed.
        """
        python = str(REPOSITORY / ".tools" / tool / "bin" / "python") if tool else sys.executable
        printed = self.run([python, str(SCRIPTS / f"{name}.py"), *arguments], **variables)
        return json.loads(printed.splitlines()[-1])

    def aws(self, *arguments: str) -> str:
        """Run a command of the AWS CLI, and return what it prints.

        Raises:
            FailedError: It failed.
        """
        tool = REPOSITORY / ".tools" / "awscli" / "bin"
        return self.run([str(tool / "python"), str(tool / "aws"), *arguments])

    def aws_json(self, *arguments: str) -> Any:
        """Run a command of the AWS CLI, and return its answer; None if it prints nothing."""
        printed = self.aws(*arguments, "--output", "json")
        return json.loads(printed) if printed.strip() else None

    def run(self, command: list[str], **variables: str) -> str:
        """Run a program to its end, and return what it prints.

        Raises:
            FailedError: It failed.
        """
        done = subprocess.run(
            command,
            env=self.variables(**variables),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
        )
        if done.returncode:
            raise FailedError(
                f"{' '.join(command)}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
            )
        return done.stdout

    def reached_elsewhere(self) -> list[str]:
        """Return what the programs tried to reach besides this machine since the last call."""
        if not self._connections.exists():
            return []
        lines = self._connections.read_text().splitlines()
        self._connections.unlink()
        return lines

"""One local cloud for all tests of a process, with the starter model in service, and what `loupe env` says about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loupe.stack import deployment
from loupe.stack.target import Target
from tests.clients.bench import REPOSITORY, Bench
from tests.system.cloud_process import CloudProcess


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The local cloud, as `loupe up` runs it, and the environment that points programs at it."""
    home = tmp_path_factory.mktemp("cloud")
    process = CloudProcess(home, REPOSITORY)
    try:
        deployment.deploy(Target.local(home), deployment.STARTER, deployment.Hosting(), lambda status: None)
        yield Bench(process.connection, home, _loupe_env(home), tmp_path_factory.mktemp("user"))
    finally:
        process.stop()


def _loupe_env(home: Path) -> dict[str, str]:
    printed = subprocess.run(
        [sys.executable, "-m", "loupe", "env", "--json"],
        env=os.environ | {"LOUPE_HOME": str(home)},
        check=True,
        stdout=subprocess.PIPE,
    )
    variables: dict[str, str] = json.loads(printed.stdout)
    return variables


@pytest.fixture(autouse=True)
def nothing_but_this_machine_is_reached(bench: Bench) -> Iterator[None]:
    """Fail if a program of a test has looked up a name, or has connected to an address, beyond loopback."""
    bench.reached_elsewhere()
    yield
    assert bench.reached_elsewhere() == []

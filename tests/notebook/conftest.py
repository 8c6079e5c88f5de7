"""A local cloud as `loupe up` runs it, and the notebook executed against it by the notebook's own environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loupe.stack import deployment
from loupe.stack.target import Target
from tests.notebook.reader import Reader
from tests.system.cloud_process import CloudProcess

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Whoever reads and runs the notebook, on a machine with a local cloud; the starter model serves."""
    home = tmp_path_factory.mktemp("cloud")
    cloud = CloudProcess(home, REPOSITORY)
    try:
        target = Target.local(home)
        deployment.deploy(target, deployment.STARTER, deployment.Hosting(), lambda status: None)
        yield Reader(REPOSITORY, target, {"LOUPE_HOME": str(home)}, tmp_path_factory.mktemp("out"))
    finally:
        cloud.stop()


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    """Say how the tests are started, if what they need is missing."""
    if not (REPOSITORY / ".tools/notebook/bin/python").exists():
        pytest.fail("the notebook's environment is missing: run `make test-notebook`", pytrace=False)
    shown = subprocess.run(
        [Path(sys.executable).parent / "loupe", "--help"], capture_output=True, env=os.environ, check=False
    )
    assert shown.returncode == 0

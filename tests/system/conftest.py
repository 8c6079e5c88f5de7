"""A running local cloud with the real template, the real functions and the starter model behind its endpoint."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud_process import CloudProcess

from loupe.stack import endpoint as models
from loupe.stack.target import Target

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def loupe_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    """The process in which the cloud runs; its endpoint is in service."""
    process = CloudProcess(tmp_path_factory.mktemp("loupe"), REPOSITORY)
    models.deploy(Target.local(process.home), models.STARTER, models.Hosting(), lambda status: None)
    yield process
    process.stop()


@pytest.fixture(scope="session")
def target(loupe_process: CloudProcess) -> Target:
    """AWS clients of that cloud, and its stack's outputs."""
    return Target.local(loupe_process.home)

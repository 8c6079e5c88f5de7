"""A running local cloud with the real template, the real functions, and the starter model behind its endpoint."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loupe.stack import deployment
from loupe.stack.target import Target
from tests.conftest import SHARED_CLOUD
from tests.system.cloud_process import CloudProcess
from tests.system.site_client import Client, signed_in_administrator

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def loupe_process(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[CloudProcess]:
    """The process that runs the cloud; its endpoint is in service."""
    process = CloudProcess(tmp_path_factory.mktemp("loupe"), REPOSITORY)
    pytestconfig.stash[SHARED_CLOUD] = process
    target = Target.local(process.home)
    deployment.deploy(target, deployment.STARTER, deployment.Hosting(), lambda status: None)
    yield process
    process.stop()


@pytest.fixture(scope="session")
def target(loupe_process: CloudProcess) -> Target:
    """The stack in that cloud."""
    return Target.local(loupe_process.home)


@pytest.fixture(scope="module")
def admin(loupe_process: CloudProcess) -> Client:
    """The ready-made administrator, signed in."""
    return signed_in_administrator(loupe_process)

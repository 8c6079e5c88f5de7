"""One local cloud for all tests of this folder, on a small disk where that is allowed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.chaos.factory import Factory, small_disk
from tests.chaos.traffic import Traffic


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the cloud keeps its state: a small disk, or a folder without the right to mount one."""
    folder = tmp_path_factory.mktemp("chaos") / "disk"
    mounted = small_disk(folder, "700m")
    yield folder
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="session")
def factory(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    """A factory without faults."""
    factory = Factory(disk / "home", tmp_path_factory.mktemp("orders"))
    yield factory
    factory.stop()


class Report(Protocol):
    """The fixture `report`."""

    def __call__(self, traffic: Traffic, **faults: int) -> None:
        """Print the images a second of a traffic, and the faults that it met."""


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Print figures, also if the test passes."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def write(traffic: Traffic, **faults: int) -> None:
        named = " · ".join(f"{name.replace('_', ' ')} {count}" for name, count in faults.items())
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(f"{traffic.figures()} · {named}")

    return write

"""For all tests: how they are spread over processes, and what clients of AWS share in each of them."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests import quick_clients

quick_clients.share()

# Tests that are started in the background ignore these signals, and so would every program that a test starts, and then
# wants to stop by them.
for _signal, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) == signal.SIG_IGN:
        signal.signal(_signal, _usual)

# A worker runs whole files. The longest ones come first, so that no worker has one left when the others are done.
_FIRST = (
    "test_first_hour.py",
    "test_retrain.py",
    "test_detectors.py",
    "test_local_cloud_stop.py",
    "test_training_programs.py",
)


def pytest_xdist_auto_num_workers() -> int:
    """One process more than cores: a test of the local cloud waits half of its time."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import a file without any test that is asked for: each process imports all of the others."""
    wanted = config.getoption("markexpr")
    # A folder may have the name of a mark that all its tests have.
    if f"not {collection_path.name}" in wanted and collection_path.parent == Path(__file__).parent:
        return True
    if wanted not in ("slow", "nightly", "browser", "images") or not collection_path.name.startswith("test_"):
        return None
    return f"mark.{wanted}" not in collection_path.read_text(encoding="utf-8") or None


def pytest_collection_finish() -> None:
    """Every test file has been imported, so moto is there if it is needed."""
    if "moto" in sys.modules:
        quick_clients.share_accounts()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; then mix those that wait for a local cloud with those that keep a core busy."""
    files = sorted(dict.fromkeys(item.path for item in items), key=lambda file: "training" not in file.parts)
    long = [file for name in _FIRST for file in files if file.name == name]
    clouds = [file for file in files if file not in long and "system" in file.parts]
    others = [file for file in files if file not in long and file not in clouds]
    places = {file: number / len(long) - 1 for number, file in enumerate(long)}
    # The last files are short ones: none of the workers then has nothing to do for long.
    places |= {file: 0.8 * number / len(clouds) for number, file in enumerate(clouds)}
    places |= {file: number / len(others) for number, file in enumerate(others)}
    items.sort(key=lambda item: places[item.path])

"""For all tests: how they are spread over processes, and what clients of AWS share in each of them."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import promises, quick_clients

if TYPE_CHECKING:
    from tests.system.cloud_process import CloudProcess

quick_clients.share()

# Tests that are started in the background ignore these signals, and so would every program that a test starts, and then
# wants to stop by them.
for _signal, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) == signal.SIG_IGN:
        signal.signal(_signal, _usual)

# The fixture `loupe_process` of tests/system is one local cloud for each process: one process runs all of its tests.
_ONE_CLOUD = (
    *("test_api.py", "test_batch_transform.py", "test_chain.py", "test_logs.py", "test_reconcile.py"),
    *(
        "test_keys.py",
        "test_rules_by_people.py",
        "test_tracking.py",
        "test_waiting.py",
        "test_wiring_faults.py",
    ),
    "test_local_cloud.py::TestTheRealTemplate",
)
SHARED_CLOUD: pytest.StashKey[CloudProcess] = pytest.StashKey()
# A worker runs whole files. The longest ones come first, so that no worker has one left when the others are done.
_FIRST = (
    "test_first_hour.py",
    "test_retrain.py",
    "test_detectors.py",
    "test_local_cloud_stop.py",
    "test_training_programs.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Count what the tests of the promises try."""
    config.pluginmanager.register(promises, "promises")


def pytest_xdist_auto_num_workers() -> int:
    """One process more than cores: a test of the local cloud waits half of its time."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give whole files to a process, and to one of them all that share a local cloud."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "one cloud" if _shares_the_cloud(nodeid) else super()._split_scope(nodeid)

    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def _shares_the_cloud(nodeid: str) -> bool:
    return nodeid.removeprefix("tests/system/").startswith(_ONE_CLOUD)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End the cloud that tests share after the last of them: it would take some of a core until all tests are done."""
    yield
    last = nextitem is not None and not _shares_the_cloud(nextitem.nodeid)
    if last and _shares_the_cloud(item.nodeid) and SHARED_CLOUD in item.config.stash:
        item.config.stash[SHARED_CLOUD].stop()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import a file without any test that is asked for: each process imports all of the others."""
    wanted = config.getoption("markexpr")
    # A folder may have the name of a mark that all its tests have.
    if f"not {collection_path.name}" in wanted and collection_path.parent == Path(__file__).parent:
        return True
    if wanted not in (
        "slow",
        "nightly",
        "chaos",
        "soak",
        "browser",
        "images",
    ) or not collection_path.name.startswith("test_"):
        return None
    return f"mark.{wanted}" not in collection_path.read_text(encoding="utf-8") or None


def pytest_collection_finish() -> None:
    """Every test file has been imported, so moto is there if it is needed."""
    if "moto" in sys.modules:
        quick_clients.share_accounts()
    # Looking for garbage among thousands of tests and their libraries took a tenth of the time. As `loupe up` does.
    gc.freeze()
    gc.set_threshold(50_000)


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
    items.sort(key=lambda item: -2 if _shares_the_cloud(item.nodeid) else places[item.path])

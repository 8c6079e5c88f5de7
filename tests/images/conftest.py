"""The images, each built once: `make test-images`. At the end it says what was built and what answered."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from loupe.account.builders.source import Target
from tests.images import engine
from tests.images.engine import Image, Store
from tests.images.sandbox import Run

ROOT = Path(__file__).parents[2]
_REPORT = pytest.StashKey[list[str]]()
# torch with CUDA, three times: what pip unpacks, the layer, and the container. The others take less than one GiB.
_NEEDED_GIB = {"train": 22, "serve": 2}


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the end."""
    return request.config.stash.setdefault(_REPORT, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was built and what answered."""
    if lines := config.stash.get(_REPORT, []):
        terminalreporter.section("images")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    """The place of the images."""
    if reason := engine.missing():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="loupe-images-", dir=_roomy()))
    store = Store(folder, ROOT / "build" / "images")
    try:
        store.base()
        yield store
    finally:
        store.remove()
        shutil.rmtree(folder, ignore_errors=True)


def _roomy() -> Path:
    """Return the folder for images: that of the checkout, since a /tmp in memory is too small."""
    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    return folder


def built(store: Store, target: Target, report: list[str]) -> Image:
    """Build a target, if there is room for it."""
    free = shutil.disk_usage(_roomy()).free / 2**30
    if free < _NEEDED_GIB[target]:
        pytest.skip(
            f"{target} needs {_NEEDED_GIB[target]} GiB of disk while it is built, and {free:.0f} are free"
        )
    began = time.monotonic()
    image = store.build(target)
    report.append(f"built {target}: {image.mebibytes} MiB in {time.monotonic() - began:.0f} s")
    return image


@pytest.fixture(scope="session")
def serve_image(store: Store, report: list[str]) -> Image:
    """The target `serve`."""
    return built(store, "serve", report)


@pytest.fixture(scope="session")
def train_image(store: Store, report: list[str]) -> Image:
    """The target `train`."""
    return built(store, "train", report)


Start = Callable[..., Run]


@pytest.fixture(scope="session")
def roots(store: Store) -> Iterator[Callable[[Image], Path]]:
    """The root file system of an image."""
    with ExitStack() as stack:
        mounted: dict[str, Path] = {}

        def root(image: Image) -> Path:
            if image.name not in mounted:
                mounted[image.name] = stack.enter_context(store.mounted(image.name))
            return mounted[image.name]

        yield root


@pytest.fixture
def start(roots: Callable[[Image], Path]) -> Iterator[Start]:
    """Starts a program of an image; what still runs at the end of the test is ended."""
    runs: list[Run] = []

    def start(
        image: Image,
        ml: Path,
        program: str,
        shm_mib: int = 64,
        gpus: tuple[str, ...] = (),
        **environment: str,
    ) -> Run:
        run = Run(image, roots(image), ml, program, environment, shm_mib, gpus)
        runs.append(run)
        return run

    yield start
    for run in runs:
        run.kill()

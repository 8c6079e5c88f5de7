"""Shared pieces of the tests of the programs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from training.datasets.generated.synthetic import generate


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn once, because drawing takes longer than most tests: `source` and `more`, as COCO. Do not change them."""
    folder = tmp_path_factory.mktemp("drawn")
    generate(folder / "source", 30, seed=5, size=96)
    generate(folder / "more", 20, seed=9, size=96)
    return folder


@pytest.fixture
def source(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the 30 images that the test may change."""
    return shutil.copytree(drawn / "source", tmp_path / "source")

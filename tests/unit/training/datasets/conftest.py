"""Shared pieces of the tests of data sets."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from training.datasets.generated.synthetic import generate


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn once, because drawing takes longer than most tests: 40 images of 96 pixels as COCO. Do not change it."""
    folder = tmp_path_factory.mktemp("drawn")
    generate(folder, 40, seed=5, size=96)
    return folder


@pytest.fixture
def source(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the drawn images that the test may change."""
    return shutil.copytree(drawn, tmp_path / "source")

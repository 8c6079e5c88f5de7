"""Shared pieces of the tests of `training`."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.artefact import unpack
from training.onnx_model import OnnxModel

ROOT = Path(__file__).parents[3]
STARTER = ROOT / "models/starter/model.tar.gz"

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def starter_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starter")
    unpack(STARTER, folder)
    return folder


@pytest.fixture(scope="session")
def starter(starter_folder: Path) -> OnnxModel:
    return OnnxModel(starter_folder, threads=1)


@pytest.fixture
def scene() -> Image.Image:
    """An upright RGB picture, 60 x 40, whose four quarters differ."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :30], pixels[:20, 30:] = (200, 30, 30), (30, 200, 30)
    pixels[20:, :30], pixels[20:, 30:] = (30, 30, 200), (220, 220, 40)
    return Image.fromarray(pixels)


@pytest.fixture
def encode() -> Encode:
    def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return encoded

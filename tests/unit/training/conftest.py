"""Fixtures that the tests of `training` share."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from training.evaluation import latency
from training.model.artefact import unpack
from training.model.onnx_model import OnnxModel

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).parents[3]
STARTER = ROOT / "models/starter/model.tar.gz"

Encode = Callable[..., bytes]
MEASURED_IMAGES = latency._MAX_IMAGES


@pytest.fixture(scope="session", autouse=True)
def few_latency_samples() -> Iterator[None]:
    """Measure the latency of two images in each evaluation, not of thirty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "_MAX_IMAGES", 2)
        patch.setattr(latency, "_WARM_UP", 1)
        yield


@pytest.fixture(scope="session")
def starter_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starter")
    unpack(STARTER, folder)
    return folder


@pytest.fixture(scope="session")
def starter(starter_folder: Path) -> OnnxModel:
    return OnnxModel(starter_folder, threads=1)


@pytest.fixture
def moto_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    """A client of moto's S3; code that reads the environment uses it, too."""
    import boto3  # with moto half a second, and most tests do not need it
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield boto3.client("s3")


@pytest.fixture
def bucket(moto_s3: S3Client, monkeypatch: pytest.MonkeyPatch) -> S3Client:
    """The client of an S3 with the empty bucket `factory`."""
    from training.datasets.storage import s3

    monkeypatch.setattr(s3, "_clients", {})
    moto_s3.create_bucket(Bucket="factory")
    return moto_s3


@pytest.fixture
def scene() -> Image.Image:
    """An upright RGB image, 60 x 40, whose four quarters differ."""
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

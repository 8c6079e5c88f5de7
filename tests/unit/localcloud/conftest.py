"""A SageMaker with moto's S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from localcloud.sagemaker.hosting import endpoints
from tests.unit.localcloud.stage import SocketlessFleet, Stage


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("LOUPE_LOCAL_JOBS", "2")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "moto")
    monkeypatch.setattr(endpoints, "Fleet", SocketlessFleet)
    with mock_aws():
        stage = Stage(tmp_path)
        yield stage
        stage.cloud.close()

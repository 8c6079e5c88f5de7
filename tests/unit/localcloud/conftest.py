"""A SageMaker whose S3 is moto's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from tests.unit.localcloud.stage import Stage


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("LOUPE_LOCAL_JOBS", "2")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "moto")
    with mock_aws():
        made = Stage(tmp_path)
        yield made
        made.cloud.close()

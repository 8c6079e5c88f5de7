"""A separate account for the tests, by moto, with the tables of the template."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from handlers import patience
from tests.unit.tracking.stage import REGION, Stage


@pytest.fixture(scope="module")
def _stage() -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        # The tests deliver a failed batch again at once.
        patch.setattr(patience, "sleep", lambda seconds: None)
        boto3.setup_default_session()
        with mock_aws(config={"core": {"mock_credentials": False}}):
            yield Stage.make(patch)
    boto3.setup_default_session()


@pytest.fixture
def stage(_stage: Stage) -> Stage:
    """Return empty tables, and the function of the stream."""
    _stage.reset()
    return _stage

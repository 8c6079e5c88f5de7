"""A separate account for the tests, by moto, with the tables of the template."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from tests.unit.review.desk import Desk


@pytest.fixture(scope="module", autouse=True)
def _account() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        boto3.setup_default_session()
        with mock_aws(config={"core": {"mock_credentials": False}}):
            yield
    boto3.setup_default_session()


@pytest.fixture(scope="module")
def _desk(_account: None) -> Desk:
    return Desk.make()


@pytest.fixture
def desk(_desk: Desk) -> Desk:
    """Return tables and buckets, empty, at eight o'clock."""
    _desk.reset()
    return _desk

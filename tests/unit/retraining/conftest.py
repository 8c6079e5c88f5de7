"""A separate account for the tests, by moto."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from retraining.documents import Documents
from tests.unit.retraining.account import Account


@pytest.fixture(scope="module", autouse=True)
def _account() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        # moto would read the endpoint's images as text, so the tests answer instead.
        core = {"mock_credentials": False, "passthrough": {"urls": [r"https://(api|runtime)\.sagemaker\."]}}
        with mock_aws(config={"core": core}):
            yield


@pytest.fixture(scope="module")
def _bucket(_account: None) -> Documents:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="artefacts", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return Documents(s3, "artefacts")


@pytest.fixture
def documents(_bucket: Documents) -> Documents:
    """Return the artefacts bucket, empty."""
    for item in list(_bucket.listing("")):
        _bucket.s3.delete_object(Bucket="artefacts", Key=item["Key"])
    return _bucket


@pytest.fixture
def account(_account: None) -> Account:
    """Return an account without jobs, models, endpoints and executions."""
    return Account()

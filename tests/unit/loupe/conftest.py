"""A stack in moto's account."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from loupe.stack.target import Target

OUTPUTS = {
    "ArtefactsBucketName": "artefacts",
    "EndpointName": "press",
    "SageMakerRoleArn": "arn:aws:iam::123456789012:role/sagemaker",
    "ModelPackageGroupName": "press",
    "RetrainStateMachineArn": "arn:aws:states:eu-central-1:123456789012:stateMachine:press-retrain",
}


@pytest.fixture(scope="session")
def stack_free() -> Target:
    """A stack without an account, for properties: every operation needs an answer of the test's own."""
    return Target(boto3.Session("testing", "testing", region_name="eu-central-1"), None, OUTPUTS)


@pytest.fixture
def stack() -> Iterator[Target]:
    """Its artefacts bucket is there, and nothing else yet."""
    with mock_aws():
        session = boto3.Session("testing", "testing", region_name="eu-central-1")
        target = Target(session, None, OUTPUTS)
        target.s3.create_bucket(
            Bucket="artefacts", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield target

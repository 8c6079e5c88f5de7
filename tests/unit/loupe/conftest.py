"""A stack for tests, in moto's AWS account or without any."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from loupe.stack import own_program
from loupe.stack.target import Target
from tests.unit.loupe import programs
from tests.unit.loupe.account import answering
from tests.unit.loupe.serving_stack import Stack

OUTPUTS = {
    "ArtefactsBucketName": "artefacts",
    "EndpointName": "press",
    "SageMakerRoleArn": "arn:aws:iam::123456789012:role/sagemaker",
    "ModelPackageGroupName": "press",
    "RulesParameterName": "/press/rules",
    "RulesCacheSeconds": "0",
    "RetrainStateMachineArn": "arn:aws:states:eu-central-1:123456789012:stateMachine:press-retrain",
}
FIRST_RULES = '{"version": "1", "default": {"fail_score": 0.5, "review_score": 0.3, "severity": "major"}}'


@pytest.fixture(scope="session")
def stack_without_account() -> Target:
    """A stack without an account, for property tests: the test must answer every operation."""
    return Target(boto3.Session("testing", "testing", region_name="eu-central-1"), None, OUTPUTS)


@pytest.fixture(autouse=True)
def _programs_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """To start a program takes a hundred times as long as its answer. test_own_program.py starts each of them."""
    monkeypatch.setattr(own_program, "subprocess", programs)


@pytest.fixture
def stack() -> Iterator[Target]:
    """A stack whose artefacts bucket exists, and nothing else yet."""
    with mock_aws():
        session = boto3.Session("testing", "testing", region_name="eu-central-1")
        target = Target(session, None, OUTPUTS)
        target.s3.create_bucket(
            Bucket="artefacts", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        target.ssm.put_parameter(Name="/press/rules", Value=FIRST_RULES, Type="String")
        yield target


@pytest.fixture
def press(stack: Target) -> Iterator[Stack]:
    press = Stack(stack)
    with answering(stack, "sagemaker", UpdateEndpoint=press.update):
        yield press

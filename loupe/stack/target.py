"""The stack that a command works on: the local cloud, or a stack in the user's AWS account."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from contract.s3 import join
from localcloud import connection
from loupe.errors import LoupeError, OldStackError
from loupe.stack import unreadable

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_dynamodb import DynamoDBServiceResource
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient

LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Uploads and look-ups run in parallel; with botocore's default pool of 10 connections some would wait.
_CLIENT_CONFIG = Config(max_pool_connections=32, retries={"mode": "standard", "max_attempts": 4})


def chosen_region() -> str | None:
    """Return the region of AWS_REGION; None for that of AWS_DEFAULT_REGION or the profile.

    All AWS SDKs and the AWS CLI read AWS_REGION except boto3:
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    """
    return os.environ.get("AWS_REGION") or None


def _is_local(endpoint_url: str | None) -> bool:
    return urlsplit(endpoint_url or "").hostname in LOOPBACK


@dataclass(frozen=True)
class Target:
    """A deployed stack.

    Attributes:
        session: The credentials and the region.
        endpoint_url: The local cloud's address; None on AWS.
        outputs: The stack's outputs, which name its resources.
        name: The stack's name, with which the names of its log groups and alarms begin.
    """

    session: boto3.Session
    endpoint_url: str | None
    outputs: dict[str, str]
    name: str = "loupe"

    @classmethod
    def local(cls, home: Path) -> Target:
        """Return the stack in the local cloud that runs on `home`.

        Raises:
            NotRunningError: No local cloud runs there.
            LoupeError: It has no stack: it is starting, or was started empty.
        """
        cloud = connection(home)
        if not cloud.outputs:
            raise LoupeError(
                f"nothing is deployed yet in the local cloud in {home}",
                "Wait until it has started; after `loupe up --empty`, name the stack too: --stack NAME --home FOLDER",
            )
        return cls(cloud.session, cloud.endpoint_url, dict(cloud.outputs), cloud.stack_name)

    @classmethod
    def local_stack(cls, home: Path, stack: str) -> Target:
        """Return the stack of that name, such as `loupe cloud create` made it, in the local cloud that runs on `home`.

        Raises:
            NotRunningError: No local cloud runs there.
            LoupeError: It has no such stack.
        """
        cloud = connection(home)
        return cls.of(cloud.session, cloud.endpoint_url, stack)

    @classmethod
    def aws(cls, stack: str) -> Target:
        """Return the stack of that name in the account and region of the user's AWS profile.

        With AWS_ENDPOINT_URL and its credentials in the environment, that is a local cloud.

        Raises:
            StackError: No credentials, no region, no answer, or no such stack.
        """
        try:
            session = boto3.Session(region_name=chosen_region())
        except BotoCoreError as error:
            raise unreadable.reason(stack, error) from error
        # Every client reads AWS_ENDPOINT_URL itself; here it also tells how S3 is to be addressed.
        return cls.of(session, os.environ.get("AWS_ENDPOINT_URL") or None, stack)

    @classmethod
    def of(cls, session: boto3.Session, endpoint_url: str | None, stack: str) -> Target:
        """Return the stack of that name that a session reaches.

        Raises:
            StackError: No credentials, no region, no answer, or no such stack.
        """
        try:
            client: CloudFormationClient = session.client("cloudformation", endpoint_url=endpoint_url)
            description = client.describe_stacks(StackName=stack)["Stacks"][0]
        except (BotoCoreError, ClientError) as error:
            local = endpoint_url if _is_local(endpoint_url) else None
            raise unreadable.reason(stack, error, session.region_name, local) from error
        outputs = {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}
        return cls(session, endpoint_url, outputs, stack)

    @property
    def local_cloud(self) -> bool:
        """Whether the stack is in a cloud on this machine, and not on AWS."""
        return _is_local(self.endpoint_url)

    def output(self, name: str) -> str:
        """Return a stack output.

        Raises:
            OldStackError: The stack does not have it, so it is not Loupe, or an older version of it.
        """
        try:
            return self.outputs[name]
        except KeyError:
            raise OldStackError(
                f"the stack {self.name!r} has no output {name}: an earlier version of Loupe deployed it",
                "Start the local cloud again, which deploys this version: loupe down, then loupe up"
                if self.local_cloud
                else f"Bring it up to date: loupe cloud update --stack {self.name}",
            ) from None

    def read_json(self, key: str) -> Any | None:
        """Return the JSON document under a key of the artefacts bucket; None if there is no such object.

        Raises:
            LoupeError: The object is not JSON.
        """
        bucket = self.output("ArtefactsBucketName")
        try:
            return json.loads(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        except ValueError as error:
            raise LoupeError(f"{join(bucket, key)} is not a JSON document: {error}") from error

    def list_artefacts(self, prefix: str) -> list[ObjectTypeDef]:
        """Return all objects under a prefix of the artefacts bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.output("ArtefactsBucketName"), Prefix=prefix
        )
        return [entry for page in pages for entry in page.get("Contents", [])]

    @cached_property
    def identity(self) -> str:
        """The ARN of who uses the stack."""
        return self.sts.get_caller_identity()["Arn"]

    @cached_property
    def s3(self) -> S3Client:
        config = _CLIENT_CONFIG
        if self.endpoint_url:
            # A bucket's name as a host name needs a DNS entry, which the loopback interface does not have.
            config = config.merge(Config(signature_version="s3v4", s3={"addressing_style": "path"}))
        return self.session.client("s3", endpoint_url=self.endpoint_url, config=config)

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        return self.session.client("cloudformation", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

    @cached_property
    def sqs(self) -> SQSClient:
        return self.session.client("sqs", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

    @cached_property
    def sns(self) -> SNSClient:
        return self.session.client("sns", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

    @cached_property
    def sagemaker(self) -> SageMakerClient:
        return self.session.client("sagemaker", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

    @cached_property
    def scaling(self) -> Any:
        return self.session.client(
            "application-autoscaling", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG
        )

    @cached_property
    def stepfunctions(self) -> SFNClient:
        return self.session.client("stepfunctions", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

    @cached_property
    def functions(self) -> LambdaClient:
        return self.session.client("lambda", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

    @cached_property
    def ssm(self) -> SSMClient:
        return self.session.client("ssm", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        return self.session.client("logs", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        return self.session.client("cloudwatch", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

    @cached_property
    def sts(self) -> STSClient:
        return self.session.client("sts", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

    @cached_property
    def cognito(self) -> CognitoIdentityProviderClient:
        return self.session.client("cognito-idp", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

    @cached_property
    def cloudfront(self) -> Any:
        return self.session.client("cloudfront", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

    @cached_property
    def streams(self) -> DynamoDBStreamsClient:
        return self.session.client("dynamodbstreams", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

    @cached_property
    def dynamodb(self) -> DynamoDBServiceResource:
        return self.session.resource("dynamodb", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

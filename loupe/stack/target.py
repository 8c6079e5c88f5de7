"""Where a command works: the local cloud, or a stack in the user's AWS account."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from platformdirs import user_state_path

from localcloud import connection
from loupe.errors import LoupeError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBServiceResource
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient

# Uploads and look-ups go side by side; botocore's default pool of 10 would make the rest wait.
_CLIENT_CONFIG = Config(max_pool_connections=32, retries={"mode": "standard", "max_attempts": 4})


def default_home() -> Path:
    """The private folder that holds the local cloud's state."""
    return user_state_path("loupe", appauthor=False)


@dataclass(frozen=True)
class Target:
    """A deployed stack: a session that reaches it and the outputs that name its parts."""

    session: boto3.Session
    endpoint_url: str | None
    outputs: dict[str, str]

    @classmethod
    def local(cls, home: Path) -> Target:
        """The local cloud that runs on `home`.

        Raises:
            LoupeError: no local cloud runs there.
        """
        found = connection(home)
        return cls(found.session, found.endpoint_url, dict(found.outputs))

    @classmethod
    def aws(cls, stack: str) -> Target:
        """The stack of that name in the account and region of the ordinary AWS profile.

        Raises:
            LoupeError: no credentials, no region, or no such stack.
        """
        try:
            session = boto3.Session()
            client: CloudFormationClient = session.client("cloudformation")
            described = client.describe_stacks(StackName=stack)["Stacks"][0]
        except (BotoCoreError, ClientError) as error:
            raise LoupeError(
                f"cannot read the stack {stack!r}: {error}",
                "Check AWS_PROFILE and AWS_REGION, or deploy it first (docs/deploy.md).",
            ) from error
        outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
        return cls(session, None, outputs)

    def output(self, name: str) -> str:
        """The stack output of that name.

        Raises:
            LoupeError: the stack has none, so it is not (or no current) Loupe.
        """
        try:
            return self.outputs[name]
        except KeyError:
            raise LoupeError(f"the stack has no output {name}", "Deploy the current template.yaml.") from None

    def document(self, key: str) -> Any | None:
        """The JSON document under a key of the artefacts bucket; None without one.

        Raises:
            LoupeError: what lies there is no JSON.
        """
        bucket = self.output("ArtefactsBucketName")
        try:
            return json.loads(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        except ValueError as error:
            raise LoupeError(f"s3://{bucket}/{key} is no JSON document: {error}") from error

    def artefacts(self, prefix: str) -> list[ObjectTypeDef]:
        """What the artefacts bucket lists under a prefix, all pages of it."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.output("ArtefactsBucketName"), Prefix=prefix
        )
        return [each for page in pages for each in page.get("Contents", [])]

    def _client(self, service: str) -> Any:
        config = _CLIENT_CONFIG
        if self.endpoint_url and service == "s3":
            # Bucket names as host names need a DNS that a laptop's loopback does not have.
            config = config.merge(Config(signature_version="s3v4", s3={"addressing_style": "path"}))
        client: Any = self.session.client  # one call for all services, where boto3's stubs have one each
        return client(service, endpoint_url=self.endpoint_url, config=config)

    @cached_property
    def s3(self) -> S3Client:
        client: S3Client = self._client("s3")
        return client

    @cached_property
    def sqs(self) -> SQSClient:
        client: SQSClient = self._client("sqs")
        return client

    @cached_property
    def sns(self) -> SNSClient:
        client: SNSClient = self._client("sns")
        return client

    @cached_property
    def sagemaker(self) -> SageMakerClient:
        client: SageMakerClient = self._client("sagemaker")
        return client

    @cached_property
    def states(self) -> SFNClient:
        client: SFNClient = self._client("stepfunctions")
        return client

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        client: CloudWatchLogsClient = self._client("logs")
        return client

    @cached_property
    def sts(self) -> STSClient:
        client: STSClient = self._client("sts")
        return client

    @cached_property
    def dynamodb(self) -> DynamoDBServiceResource:
        return self.session.resource("dynamodb", endpoint_url=self.endpoint_url, config=_CLIENT_CONFIG)

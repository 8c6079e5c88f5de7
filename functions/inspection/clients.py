"""AWS clients with timeouts and retries that fit into a function's minute. No other module makes a client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

_MAX_CONNECTIONS = 16  # the ten threads of a batch, and some spare

# At most three attempts of 7 s with jittered pauses. The standard mode also retries throttled calls.
_DEFAULT = Config(
    connect_timeout=2,
    read_timeout=5,
    max_pool_connections=_MAX_CONNECTIONS,
    retries={"mode": "standard", "total_max_attempts": 3},
)
# Presigned links: without s3v4 they get the old signature version, which new regions refuse. Without virtual addressing
# they name the bucket's global host, which answers 307 or SignatureDoesNotMatch outside us-east-1
# (https://github.com/boto/boto3/pull/4768). And they must name the host that CloudFront asks: the regional one,
# also in us-east-1.
_S3_LINKS = Config(s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"})
# The local cloud has one host for all buckets.
_S3_LINKS_OF_ONE_HOST = Config(s3={"addressing_style": "path"})
# At most two attempts of 22 s and a pause of a second.
_ENDPOINT = _DEFAULT.merge(Config(read_timeout=20, retries={"mode": "standard", "total_max_attempts": 2}))
# Who signs in has no credentials yet, so these calls are not signed, and need no permission.
_OPEN = _DEFAULT.merge(Config(signature_version=UNSIGNED))
ENDPOINT_SECONDS = 45.0  # the longest that one call of the endpoint takes, retries included


def s3() -> S3Client:
    """Return a client whose presigned links work in every region, and in the local cloud."""
    has_one_host = any(os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    links = _S3_LINKS_OF_ONE_HOST if has_one_host else _S3_LINKS
    return boto3.client("s3", config=_DEFAULT.merge(Config(signature_version="s3v4")).merge(links))


def sqs() -> SQSClient:
    return boto3.client("sqs", config=_DEFAULT)


def sns() -> SNSClient:
    return boto3.client("sns", config=_DEFAULT)


def ssm() -> SSMClient:
    return boto3.client("ssm", config=_DEFAULT)


def dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb", config=_DEFAULT)


def dynamodb_once() -> DynamoDBClient:
    """Return a client for callers that repeat calls themselves: it tries once, for at most 3 s."""
    once = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1})
    return boto3.client("dynamodb", config=_DEFAULT.merge(once))


def sagemaker() -> SageMakerClient:
    return boto3.client("sagemaker", config=_DEFAULT)


def scaling() -> Any:
    return boto3.client("application-autoscaling", config=_DEFAULT)


def states() -> SFNClient:
    return boto3.client("stepfunctions", config=_DEFAULT)


def sagemaker_runtime() -> SageMakerRuntimeClient:
    return boto3.client("sagemaker-runtime", config=_ENDPOINT)


def cloudwatch() -> CloudWatchClient:
    return boto3.client("cloudwatch", config=_DEFAULT)


def cognito() -> CognitoIdentityProviderClient:
    return boto3.client("cognito-idp", config=_OPEN)


def logs() -> CloudWatchLogsClient:
    return boto3.client("logs", config=_DEFAULT)

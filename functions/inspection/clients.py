"""Connections to AWS, with timeouts and attempts that fit into a function's minute. Only here is boto3 called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

_AT_ONCE = 16  # connections; a batch's ten threads and some room

# At most three attempts of 7 s with jittered pauses; standard mode also knows throttling.
_QUICK = Config(
    connect_timeout=2,
    read_timeout=5,
    max_pool_connections=_AT_ONCE,
    retries={"mode": "standard", "total_max_attempts": 3},
)
# What signs links otherwise is the old version, which new regions refuse.
_S3 = _QUICK.merge(Config(signature_version="s3v4"))
# At most two attempts of 22 s and a pause of a second.
_ENDPOINT = _QUICK.merge(Config(read_timeout=20, retries={"mode": "standard", "total_max_attempts": 2}))
ENDPOINT_SECONDS = 45.0  # that a call of the endpoint may take in all


def s3() -> S3Client:
    return boto3.client("s3", config=_S3)


def sqs() -> SQSClient:
    return boto3.client("sqs", config=_QUICK)


def sns() -> SNSClient:
    return boto3.client("sns", config=_QUICK)


def ssm() -> SSMClient:
    return boto3.client("ssm", config=_QUICK)


def dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb", config=_QUICK)


def sagemaker() -> SageMakerClient:
    return boto3.client("sagemaker", config=_QUICK)


def states() -> SFNClient:
    return boto3.client("stepfunctions", config=_QUICK)


def sagemaker_runtime() -> SageMakerRuntimeClient:
    return boto3.client("sagemaker-runtime", config=_ENDPOINT)

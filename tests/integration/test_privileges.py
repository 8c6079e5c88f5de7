"""The role of each function allows the calls that the function makes, and no more."""

from typing import Any

import pytest

from tests.inspection_support import http, jpeg, message, model_error
from tests.integration.moto_cloud import DEFECT, Cloud, detect_by_grey
from tests.stack_template import stack_template

pytestmark = pytest.mark.promise(25)
NEEDS = {
    # The null version of a bucket with suspended versioning is read without a version id.
    "GetObject": {"s3:GetObjectVersion", "s3:GetObject"},
    "PutObject": {"s3:PutObject"},
    "GetParameter": {"ssm:GetParameter"},
    "InvokeEndpoint": {"sagemaker:InvokeEndpoint"},
    "DescribeEndpoint": {"sagemaker:DescribeEndpoint"},
    "PutItem": {"dynamodb:PutItem"},
    "GetItem": {"dynamodb:GetItem"},
    "UpdateItem": {"dynamodb:UpdateItem"},
    "SendMessage": {"sqs:SendMessage"},
    "ChangeMessageVisibility": {"sqs:ChangeMessageVisibility"},
    "Publish": {"sns:Publish", "kms:GenerateDataKey", "kms:Decrypt"},  # the topic is encrypted
}
LAMBDA = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}
MISSING_IS_404 = {"s3:ListBucket", "s3:ListBucketVersions"}
READS_QUEUE = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
READS_STREAM = {
    f"dynamodb:{action}" for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
}
KEEPS_FAILURES = {"sqs:SendMessage"}


def allowed(role: str) -> set[str]:
    template: dict[str, Any] = stack_template()
    policies = template["Resources"][role]["Properties"]["Policies"]
    actions = [
        statement["Action"] for policy in policies for statement in policy["PolicyDocument"]["Statement"]
    ]
    return {action for listed in actions for action in (listed if isinstance(listed, list) else [listed])}


def needed(calls: set[str]) -> set[str]:
    return set().union(*(NEEDS[call] for call in calls))


def test_the_role_of_inspect_allows_exactly_its_calls(cloud: Cloud, defect: dict[str, Any]) -> None:
    calls: set[str] = set()
    no_endpoint = http(400, {"Message": "Endpoint not found"}, "ValidationError")
    for answer in (no_endpoint, model_error(500), None):
        cloud.endpoint = (lambda _, answer=answer: answer) if answer else detect_by_grey  # type: ignore[misc]
        cloud.inspect(message(defect))
        calls |= set(cloud.calls)

    assert needed(calls) | LAMBDA | MISSING_IS_404 | READS_QUEUE == allowed("InspectRole")


def test_the_role_of_alert_allows_exactly_its_calls(cloud: Cloud) -> None:
    cloud.inspect(message(cloud.put("incoming/line-1/top/SN1.jpg", jpeg(shade=DEFECT))))
    cloud.alert()

    assert needed(set(cloud.calls)) | LAMBDA | MISSING_IS_404 | READS_STREAM | KEEPS_FAILURES == allowed(
        "AlertRole"
    )

"""How long the containers' logs are kept: SageMaker creates their groups without an end.

https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from loupe.account.account import Account
from loupe.stack.target import Target

# SageMaker's own, which all stacks of the account share; they exist after the first job.
_SHARED = ("/aws/sagemaker/TrainingJobs", "/aws/sagemaker/ProcessingJobs")


def endless(account: Account, target: Target) -> list[str]:
    """Return the groups that keep their logs for ever; the endpoint's too if it does not exist yet."""
    own = f"/aws/sagemaker/Endpoints/{target.output('EndpointName')}"
    groups = _groups(account, "/aws/sagemaker/")
    names = [name for name in (own, *_SHARED) if name in groups and "retentionInDays" not in groups[name]]
    return names if own in groups else [own, *names]


def limit(account: Account, target: Target) -> list[str]:
    """Let those groups end after the stack's LogRetentionDays, and return their names. Other limits stay."""
    client, days = account.client("logs"), int(target.outputs.get("LogRetentionDays", "30"))
    names = endless(account, target)
    for name in names:
        # The endpoint's first line would create its group without a limit.
        try:
            client.create_log_group(logGroupName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise
        client.put_retention_policy(logGroupName=name, retentionInDays=days)
    return names


def _groups(account: Account, prefix: str) -> dict[str, dict[str, Any]]:
    pages = account.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    return {group["logGroupName"]: group for page in pages for group in page["logGroups"]}

"""The names of what builds in the account, and what it may do there."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from loupe.account.account import Account
from loupe.account.builders.source import TARGETS


def project_name(account: Account) -> str:
    """Return the name of the stack's CodeBuild project."""
    return f"{account.stack}-images"


def role_name(account: Account) -> str:
    """Return the name of its role, at most 64 characters. The roles of all regions share their names."""
    name = f"{account.stack}-images-{account.region}"
    if len(name) <= 64:
        return name
    return f"{account.stack[:40]}-images-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def source_prefix(account: Account) -> str:
    """Return the prefix of the archives in the deployment bucket that are built from."""
    return f"{account.stack}/images/"


def log_group_name(account: Account) -> str:
    """Return the name of the builds' log group."""
    return f"/aws/codebuild/{project_name(account)}"


def role(account: Account) -> str:
    """Have the project's role with its permissions, and return its ARN."""
    iam, name = account.client("iam"), role_name(account)
    try:
        arn: str = iam.create_role(
            RoleName=name,
            Description=f"What CodeBuild may do to build the images of the stack {account.stack}",
            AssumeRolePolicyDocument=json.dumps(_trust(account)),
            Tags=[{"Key": "loupe:stack", "Value": account.stack}],
        )["Role"]["Arn"]
    except iam.exceptions.EntityAlreadyExistsException:
        arn = iam.get_role(RoleName=name)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="images", PolicyDocument=json.dumps(_policy(account)))
    return arn


def _trust(account: Account) -> dict[str, Any]:
    # https://docs.aws.amazon.com/codebuild/latest/userguide/cross-service-confused-deputy-prevention.html
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "codebuild.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account.account_id}},
            }
        ],
    }


def _policy(account: Account) -> dict[str, Any]:
    """Return the least that a build needs.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
    """
    place = f"{account.partition}:%s:{account.region}:{account.account_id}"
    group = f"arn:{place % 'logs'}:log-group:{log_group_name(account)}"
    push = (
        "BatchCheckLayerAvailability",
        "InitiateLayerUpload",
        "UploadLayerPart",
        "CompleteLayerUpload",
        "PutImage",
    )
    # buildx asks which layers of an earlier image are there.
    read = ("BatchGetImage", "GetDownloadUrlForLayer")
    statements = [
        (["logs:CreateLogStream", "logs:PutLogEvents"], [group, f"{group}:*"]),
        (
            ["s3:GetObject"],
            [f"arn:{account.partition}:s3:::{account.name('deploy')}/{source_prefix(account)}*"],
        ),
        # The action has no resource.
        (["ecr:GetAuthorizationToken"], ["*"]),
        (
            [f"ecr:{action}" for action in (*push, *read)],
            [f"arn:{place % 'ecr'}:repository/{account.name(target)}" for target in TARGETS],
        ),
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": actions, "Resource": resources} for actions, resources in statements
        ],
    }

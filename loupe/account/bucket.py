"""The bucket from which stacks are deployed, one for an account and region: private, encrypted, over TLS only."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from loupe.account.account import Account
from loupe.errors import LoupeError

_PRIVATE = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)
_ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
# What is deployed does not expire: an update that fails returns to the former code, which CloudFormation reads here.
_LIFECYCLE = {
    "Rules": [
        {
            "ID": "unfinished-uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        }
    ]
}
_ABSENT = (
    "NoSuchPublicAccessBlockConfiguration",
    "ServerSideEncryptionConfigurationNotFoundError",
    "NoSuchLifecycleConfiguration",
    "NoSuchBucketPolicy",
)


def found(account: Account) -> str | None:
    """Return the bucket's name if it is there as it must be."""
    name, client = account.name("deploy"), account.client("s3")
    if not _exists(account):
        return None
    settings = (
        (client.get_public_access_block, "PublicAccessBlockConfiguration", _PRIVATE),
        (client.get_bucket_lifecycle_configuration, "Rules", None),
        (client.get_bucket_encryption, "ServerSideEncryptionConfiguration", None),
    )
    for read, member, wanted in settings:
        value = _read(read, name, member)
        if value is None or (wanted is not None and value != wanted):
            return None
    policy = _read(client.get_bucket_policy, name, "Policy")
    return name if policy and json.loads(policy) == _policy(account) else None


def ensure(account: Account) -> str:
    """Have the bucket, and return its name; a second time changes nothing.

    Raises:
        LoupeError: The name belongs to another account.
    """
    name, client = account.name("deploy"), account.client("s3")
    if not _exists(account):
        location = {} if account.region == "us-east-1" else {"LocationConstraint": account.region}
        client.create_bucket(Bucket=name, **({"CreateBucketConfiguration": location} if location else {}))
    client.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=_PRIVATE)
    client.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=_ENCRYPTION)
    client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration=_LIFECYCLE)
    client.put_bucket_policy(Bucket=name, Policy=json.dumps(_policy(account)))
    return name


def _exists(account: Account) -> bool:
    name = account.name("deploy")
    try:
        # Somebody else could have taken the name, and would get what is deployed.
        account.client("s3").head_bucket(Bucket=name, ExpectedBucketOwner=account.account_id)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("404", "NoSuchBucket"):
            return False
        if code in ("403", "AccessDenied"):
            raise LoupeError(
                f"the bucket {name} belongs to another account, or you may not use it",
                "Ask for s3:ListBucket on it. If another account has it, choose another region.",
            ) from error
        raise
    return True


def _read(read: Any, bucket: str, member: str) -> Any:
    try:
        return read(Bucket=bucket)[member]
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise


def _policy(account: Account) -> dict[str, Any]:
    arn = f"arn:{account.partition}:s3:::{account.name('deploy')}"
    statement = {
        "Sid": "OnlyOverTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}

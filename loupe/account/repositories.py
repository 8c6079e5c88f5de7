"""The repositories of the container images, in ECR: tags that never change, scanned, without untagged leftovers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from loupe.account.account import Account, Repository

# A build that is pushed again under its tag is refused, so what is untagged is a build that was broken off.
_LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "images without a tag",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 7,
            },
            "action": {"type": "expire"},
        }
    ]
}


def found(account: Account, kinds: Sequence[Repository]) -> str | None:
    """Return the repositories' names if all are there as they must be."""
    names = [account.name(kind) for kind in kinds]
    for name in names:
        repository = _describe(account, name)
        if repository is None or repository.get("imageTagMutability") != "IMMUTABLE":
            return None
        if not repository.get("imageScanningConfiguration", {}).get("scanOnPush"):
            return None
        if not _has_lifecycle(account, name):
            return None
    return ", ".join(names)


def ensure(account: Account, kinds: Sequence[Repository]) -> str:
    """Have the repositories, and return their names; a second time changes nothing."""
    client, names = account.client("ecr"), [account.name(kind) for kind in kinds]
    for name in names:
        if _describe(account, name) is None:
            client.create_repository(
                repositoryName=name,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
                tags=[{"Key": "loupe:stack", "Value": account.stack}],
            )
        else:
            client.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")
            client.put_image_scanning_configuration(
                repositoryName=name, imageScanningConfiguration={"scanOnPush": True}
            )
        client.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps(_LIFECYCLE))
    return ", ".join(names)


def _describe(account: Account, name: str) -> dict[str, Any] | None:
    try:
        found: list[dict[str, Any]] = account.client("ecr").describe_repositories(repositoryNames=[name])[
            "repositories"
        ]
    except ClientError as error:
        if error.response["Error"]["Code"] == "RepositoryNotFoundException":
            return None
        raise
    return found[0] if found else None


def _has_lifecycle(account: Account, name: str) -> bool:
    try:
        account.client("ecr").get_lifecycle_policy(repositoryName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "LifecyclePolicyNotFoundException":
            return False
        raise
    return True

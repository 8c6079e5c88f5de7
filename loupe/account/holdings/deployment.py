"""What was made to deploy the stack: its images, what was uploaded, and what built them. And the stack itself."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from loupe.account.account import REPOSITORIES
from loupe.account.builders import build_role, codebuild
from loupe.account.holdings import storage
from loupe.account.holdings.scope import Item, Scope, Work, existing, size
from loupe.errors import LoupeError

_TIMEOUT_S = 3600.0
_UNTIL_SETTLED = "_IN_PROGRESS"
# A change set without a stack; it may be deleted as it is.
_REVIEW = "REVIEW_IN_PROGRESS"


def find_stack(scope: Scope) -> list[Item]:
    """Return the CloudFormation stack, with what it consists of."""
    for incarnation in scope.incarnations:
        if incarnation.exists:
            types = Counter(resource.type.rpartition("::")[2] for resource in incarnation.resources)
            most = ", ".join(f"{count} {name}" for name, count in types.most_common(4))
            text = f"{incarnation.status}, {len(incarnation.resources)} resources: {most} ..."
            return [Item("stack", incarnation.stack_id, text if types else incarnation.status)]
    return []


def delete_stack(work: Work, item: Item) -> None:
    """Delete the stack, and wait until it is gone.

    What CloudFormation cannot delete at the second attempt either, it leaves out.

    Raises:
        LoupeError: CloudFormation takes longer than an hour.
    """
    client, deadline = work.account.client("cloudformation"), time.monotonic() + _TIMEOUT_S
    attempts = 0
    while time.monotonic() < deadline:
        found = existing(client.describe_stacks, StackName=item.name)
        status = found["Stacks"][0]["StackStatus"] if found and found["Stacks"] else "DELETE_COMPLETE"
        if status == "DELETE_COMPLETE":
            return
        work.tell(f"stack {work.account.stack}: {status}{_left(client, item.name)}")
        if not status.endswith(_UNTIL_SETTLED) or status == _REVIEW:
            retained = _failed(client, item.name) if status == "DELETE_FAILED" and attempts else []
            request = {"RetainResources": retained} if retained else {}
            client.delete_stack(StackName=item.name, **request)
            attempts += 1
        time.sleep(work.pause)
    raise LoupeError(
        f"CloudFormation still deletes the stack {work.account.stack}",
        "Repeat the command when it has ended.",
    )


def _failed(client: Any, stack_id: str) -> list[str]:
    return [each["LogicalResourceId"] for each in _resources(client, stack_id, "DELETE_FAILED")]


def _left(client: Any, stack_id: str) -> str:
    """Return how many resources are left, as text."""
    states = Counter(each["ResourceStatus"] for each in _resources(client, stack_id))
    left = sum(
        number for status, number in states.items() if status not in ("DELETE_COMPLETE", "DELETE_SKIPPED")
    )
    return f", {left} resources left" if left else ""


def _resources(client: Any, stack_id: str, status: str | None = None) -> list[dict[str, Any]]:
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    resources = [each for page in pages for each in page["StackResourceSummaries"]]
    return [each for each in resources if status in (None, each["ResourceStatus"])]


def find_repositories(scope: Scope) -> list[Item]:
    """Return the repositories of the stack's images, with what is in them."""
    client = scope.account.client("ecr")
    items = []
    for kind in REPOSITORIES:
        name = scope.account.name(kind)
        if existing(client.describe_repositories, repositoryNames=[name]):
            pages = client.get_paginator("describe_images").paginate(repositoryName=name)
            sizes = [image.get("imageSizeInBytes", 0) for page in pages for image in page["imageDetails"]]
            text = f"{len(sizes)} image{'' if len(sizes) == 1 else 's'}, {size(sum(sizes))}"
            items.append(Item("repository", name, text))
    return items


def delete_repository(work: Work, item: Item) -> None:
    """Delete a repository with its images."""
    existing(work.account.client("ecr").delete_repository, repositoryName=item.name, force=True)


def find_builder(scope: Scope) -> list[Item]:
    """Return what builds images in the account: a CodeBuild project with its role and its log group."""
    account = scope.account
    project, role = build_role.project_name(account), build_role.role_name(account)
    projects = account.client("codebuild").batch_get_projects(names=[project])["projects"]
    if projects or existing(account.client("iam").get_role, RoleName=role):
        return [Item("image builder", project, f"a CodeBuild project and the role {role}")]
    return []


def delete_builder(work: Work, item: Item) -> None:
    """Delete the project, its role and its log group."""
    codebuild.remove(work.account)


def find_deployment(scope: Scope) -> list[Item]:
    """Return what was uploaded to deploy the stack, in the bucket that the account's stacks share."""
    client, bucket = scope.account.client("s3"), scope.account.name("deploy")
    if existing(client.head_bucket, Bucket=bucket) is None:
        return []
    own = storage.count(client, bucket, f"{scope.account.stack}/")
    if own.objects or own.markers:
        return [Item("deployment files", f"{bucket}/{scope.account.stack}/", own.text)]
    if _is_empty(client, bucket):
        return [Item("deployment files", f"{bucket}/", "an empty bucket")]
    return []


def delete_deployment(work: Work, item: Item) -> None:
    """Delete the stack's prefix, and the bucket if no other stack has one."""
    client = work.account.client("s3")
    bucket, _, prefix = item.name.partition("/")
    if prefix:
        storage.empty(work, client, bucket, prefix)
    if _is_empty(client, bucket):
        existing(client.delete_bucket, Bucket=bucket)


def _is_empty(client: Any, bucket: str) -> bool:
    page = existing(client.list_object_versions, Bucket=bucket, MaxKeys=1) or {}
    return not page.get("Versions") and not page.get("DeleteMarkers")

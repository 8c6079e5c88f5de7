"""The stack as CloudFormation sees it: its state, what a change set would change, and why a deployment failed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from loupe.account.account import Account
from loupe.errors import LoupeError

_TIMEOUT_S = 5400.0
COMPLETE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
# A stack that was never created completely cannot be updated. CloudFormation wants it deleted first:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
NEVER_CREATED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
# Resources whose replacement or removal loses data, or the address under which others know them.
_LASTING = (
    "AWS::S3::Bucket",
    "AWS::DynamoDB::Table",
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::SQS::Queue",
    "AWS::SNS::Topic",
    "AWS::KMS::Key",
    "AWS::SSM::Parameter",
    "AWS::CloudFront::Distribution",
    "AWS::SageMaker::ModelPackageGroup",
    "AWS::StepFunctions::StateMachine",
)
# What a resource's own failure has caused in the others says nothing.
_FOLLOWS = ("Resource creation cancelled", "Resource update cancelled")


@dataclass(frozen=True)
class Stack:
    """A stack that exists.

    Attributes:
        stack_id: Its ARN.
        status: CloudFormation's, such as CREATE_COMPLETE.
        reason: Why it has this status; may be empty.
        parameters: Its parameters.
        outputs: Its outputs.
        changed: When it was created or updated last.
    """

    stack_id: str
    status: str
    reason: str
    parameters: dict[str, str]
    outputs: dict[str, str]
    changed: str

    @property
    def complete(self) -> bool:
        """Whether it can be used and updated."""
        return self.status in COMPLETE

    @property
    def changing(self) -> bool:
        """Whether CloudFormation is at work on it. REVIEW_IN_PROGRESS is a change set that nobody has executed."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"


@dataclass(frozen=True)
class Change:
    """What a change set does to a resource.

    Attributes:
        action: Add, Modify, Remove, Import or Dynamic.
        logical_id: The resource's name in the template.
        resource_type: CloudFormation's type.
        replaced: Whether another resource takes its place.
    """

    action: str
    logical_id: str
    resource_type: str
    replaced: bool

    @property
    def dangerous(self) -> bool:
        """Whether data or an address would be lost."""
        return (self.action == "Remove" or self.replaced) and self.resource_type in _LASTING

    @property
    def text(self) -> str:
        """In words."""
        verb = "is removed" if self.action == "Remove" else "is replaced" if self.replaced else "changes"
        return f"{self.logical_id} ({self.resource_type}) {verb}"


def describe(account: Account) -> Stack | None:
    """Return the account's stack; None if there is none."""
    try:
        found = account.client("cloudformation").describe_stacks(StackName=account.stack)["Stacks"]
    except ClientError as error:
        # CloudFormation's answer for a stack that does not exist.
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    if not found or found[0]["StackStatus"] == "DELETE_COMPLETE":
        return None
    stack = found[0]
    changed = stack.get("LastUpdatedTime") or stack["CreationTime"]
    return Stack(
        stack["StackId"],
        stack["StackStatus"],
        stack.get("StackStatusReason", ""),
        {each["ParameterKey"]: each.get("ParameterValue", "") for each in stack.get("Parameters", [])},
        {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])},
        changed.isoformat(),
    )


def is_loupe(account: Account, stack: Stack) -> bool:
    """Return whether a stack was made from Loupe's template, in whatever state it is."""
    if stack.outputs:
        return {"ImagesBucketName", "InspectFunctionName"} <= stack.outputs.keys()
    pages = _pages(account, "list_stack_resources")
    names = {each["LogicalResourceId"] for page in pages for each in page["StackResourceSummaries"]}
    return not names or bool({"ImagesBucket", "InspectionsTable", "TopicsKey"} & names)


def _pages(account: Account, operation: str, **arguments: str) -> Iterator[dict[str, Any]]:
    """Yield the pages of what CloudFormation lists about the stack."""
    paginator = account.client("cloudformation").get_paginator(operation)
    yield from paginator.paginate(StackName=account.stack, **arguments)


def wait(account: Account, on_line: Callable[[str], None]) -> Stack | None:
    """Wait until CloudFormation has ended its work on the stack, and return it; None if it is gone.

    Raises:
        LoupeError: It takes longer than 90 minutes.
    """
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        stack = describe(account)
        if stack is None or not stack.changing:
            return stack
        on_line(f"{stack.status}{_progress(account)}")
        time.sleep(0.2 if account.local else 5)
    raise LoupeError(
        f"CloudFormation is still at work on the stack {account.stack}",
        "It goes on by itself. Repeat the command later.",
    )


def _progress(account: Account) -> str:
    """Return how many of the resources that CloudFormation has begun are complete."""
    pages = _pages(account, "list_stack_resources")
    states = Counter(
        each["ResourceStatus"].rpartition("_")[2] for page in pages for each in page["StackResourceSummaries"]
    )
    total = sum(states.values())
    return f": {states['COMPLETE']} of {total} resources" if total else ""


def changes(account: Account, change_set: str) -> list[Change]:
    """Return what a change set changes."""
    pages = _pages(account, "describe_change_set", ChangeSetName=change_set)
    found = [entry["ResourceChange"] for page in pages for entry in page.get("Changes", [])]
    return [
        Change(
            each.get("Action", ""),
            each["LogicalResourceId"],
            each.get("ResourceType", ""),
            # "Conditional" is decided at the update; CloudFormation says it of most changes that depend on others.
            each.get("Replacement") == "True",
        )
        for each in found
    ]


def execute(account: Account, change_set: str, on_line: Callable[[str], None]) -> Stack:
    """Execute a change set, and wait until it is done.

    Raises:
        LoupeError: Resources failed; the message has CloudFormation's reasons.
    """
    # A clock that is a little wrong must not hide the reasons.
    began = datetime.now(UTC) - timedelta(seconds=30)
    client = account.client("cloudformation")
    before = describe(account)
    client.execute_change_set(StackName=account.stack, ChangeSetName=change_set)
    _wait_until_begun(account, before)
    stack = wait(account, on_line)
    if stack is None or stack.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        status = stack.status if stack else "deleted"
        reasons = failures(account, began) or [
            stack.reason if stack and stack.reason else "no reason was given"
        ]
        hint = "Correct that, and repeat the command: it goes on from here."
        raise LoupeError(f"the deployment failed ({status}): {'; '.join(reasons)}", hint)
    return stack


def _wait_until_begun(account: Account, before: Stack | None) -> None:
    """Wait until the stack's state follows the request to change it, which takes a moment."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        now = describe(account)
        if now is None or (now != before and now.status != "REVIEW_IN_PROGRESS"):
            return
        time.sleep(0.2 if account.local else 2)


def failures(account: Account, since: datetime) -> list[str]:
    """Return why resources failed since then, the first cause first."""
    pages = _pages(account, "describe_stack_events")
    found: list[str] = []
    for page in pages:
        for event in page["StackEvents"]:
            if event["Timestamp"] < since:
                return list(reversed(found))
            reason = event.get("ResourceStatusReason", "")
            if event["ResourceStatus"].endswith("_FAILED") and reason and not reason.startswith(_FOLLOWS):
                found.append(f"{event['LogicalResourceId']}: {reason}")
    return list(reversed(found))


def delete(account: Account, on_line: Callable[[str], None]) -> None:
    """Delete what is left of a stack that was never created completely.

    Raises:
        LoupeError: CloudFormation cannot delete it.
    """
    account.client("cloudformation").delete_stack(StackName=account.stack)
    stack = wait(account, on_line)
    if stack is not None:
        raise LoupeError(
            f"the rest of the failed creation cannot be deleted: {stack.status} {stack.reason}",
            f"See what holds it: loupe cloud destroy --stack {account.stack} --plan",
        )

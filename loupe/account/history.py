"""What CloudFormation knows of the stacks of one name: the one that exists, and those that were deleted.

Of a deleted stack CloudFormation keeps outputs, resources and events for 90 days, under the stack's id:
https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListStackResources.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from loupe.account.account import Account

_GONE = "DELETE_COMPLETE"


@dataclass(frozen=True)
class Resource:
    """A resource of a stack.

    Attributes:
        type: CloudFormation's name of the type.
        logical: Its name in the template.
        name: Its physical id.
    """

    type: str
    logical: str
    name: str


@dataclass(frozen=True)
class Incarnation:
    """A stack that exists, or existed, under the name.

    Attributes:
        stack_id: Its ARN.
        status: CloudFormation's, such as CREATE_COMPLETE.
        reason: Why it has this status; may be empty.
        protected: Whether it refuses to be deleted.
        outputs: Its outputs, by name.
        parameters: Its parameters, by name.
        resources: What it has, or has left behind.
    """

    stack_id: str
    status: str
    reason: str
    protected: bool
    outputs: dict[str, str]
    parameters: dict[str, str]
    resources: tuple[Resource, ...]

    @property
    def exists(self) -> bool:
        """Whether the stack is there, in whatever state."""
        return self.status != _GONE

    @property
    def uniques(self) -> set[str]:
        """The parts of the stack's id with which the names of its jobs may begin.

        Stacks of earlier versions took the last part instead of the first.
        """
        parts = self.stack_id.rpartition("/")[2].split("-")
        return {parts[0], parts[-1]}

    def of_type(self, resource_type: str) -> list[str]:
        """Return the physical ids of the resources of a type."""
        return [resource.name for resource in self.resources if resource.type == resource_type]


def read(account: Account) -> list[Incarnation]:
    """Return the stacks of the account's stack name; the one that exists, if one does, is the first."""
    client = account.client("cloudformation")
    ids = [
        summary["StackId"]
        for page in client.get_paginator("list_stacks").paginate()
        for summary in page["StackSummaries"]
        if summary["StackName"] == account.stack
    ]
    found = [incarnation for stack_id in ids if (incarnation := _read(client, stack_id))]
    return sorted(found, key=lambda incarnation: not incarnation.exists)


def others(account: Account) -> list[dict[str, str]]:
    """Return the outputs of the account's other stacks that are Loupe's."""
    pages = account.client("cloudformation").get_paginator("describe_stacks").paginate()
    stacks = [stack for page in pages for stack in page["Stacks"] if stack["StackStatus"] != _GONE]
    outputs = [_outputs(stack) for stack in stacks if stack["StackName"] != account.stack]
    return [each for each in outputs if "EndpointName" in each]


def _read(client: Any, stack_id: str) -> Incarnation | None:
    try:
        stack = client.describe_stacks(StackName=stack_id)["Stacks"][0]
        resources = _resources(client, stack)
    except ClientError as error:
        # CloudFormation has just forgotten it.
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return Incarnation(
        stack_id,
        stack["StackStatus"],
        stack.get("StackStatusReason", ""),
        bool(stack.get("EnableTerminationProtection")),
        _outputs(stack),
        {each["ParameterKey"]: each.get("ParameterValue", "") for each in stack.get("Parameters", [])},
        tuple(resources),
    )


def _resources(client: Any, stack: dict[str, Any]) -> list[Resource]:
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack["StackId"])
    listed = [each for page in pages for each in page["StackResourceSummaries"]]
    if not listed and stack["StackStatus"] == _GONE:
        # What the deletion left out is in the events too.
        events = client.get_paginator("describe_stack_events").paginate(StackName=stack["StackId"])
        listed = [
            each
            for page in events
            for each in page["StackEvents"]
            if each["ResourceStatus"] == "DELETE_SKIPPED"
        ]
    return [
        Resource(each["ResourceType"], each["LogicalResourceId"], each["PhysicalResourceId"])
        for each in listed
        if each["ResourceStatus"] != _GONE and each.get("PhysicalResourceId")
    ]


def _outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

"""A stack, read once for all checks of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from loupe.account.account import Account
from loupe.doctor.examination import Finding, Result
from loupe.stack.target import Target

# boto3 makes clients in one thread only; the checks run in several.
_SERVICES = (
    *(
        "cloudformation",
        "sagemaker",
        "stepfunctions",
        "sqs",
        "sns",
        "s3",
        "logs",
        "cloudwatch",
        "ssm",
        "lambda",
    ),
    *("cognito-idp", "ecr", "service-quotas", "sts"),
)
_TARGET_CLIENTS = (
    *(
        "s3",
        "sqs",
        "sns",
        "sagemaker",
        "stepfunctions",
        "ssm",
        "logs",
        "cloudwatch",
        "cognito",
        "scaling",
        "functions",
    ),
)


@dataclass(frozen=True)
class Patient:
    """A stack.

    Attributes:
        account: Where it is.
        target: What it consists of.
        options: With which another command works on the same stack.
        description: CloudFormation's DescribeStacks.
        parameters: Its parameters, by name.
        log_groups: The names of its own log groups.
    """

    account: Account
    target: Target
    options: str
    description: dict[str, Any]
    parameters: dict[str, str]
    log_groups: list[str]

    @classmethod
    def read(cls, account: Account, target: Target, options: str) -> Patient:
        """Read the stack, and make the clients of all checks."""
        for service in _SERVICES:
            account.client(service)
        for name in _TARGET_CLIENTS:
            getattr(target, name)
        client = account.client("cloudformation")
        description = client.describe_stacks(StackName=target.name)["Stacks"][0]
        parameters = {
            each["ParameterKey"]: each.get("ParameterValue", "") for each in description.get("Parameters", [])
        }
        pages = client.get_paginator("list_stack_resources").paginate(StackName=target.name)
        groups = [
            each["PhysicalResourceId"]
            for page in pages
            for each in page["StackResourceSummaries"]
            if each["ResourceType"] == "AWS::Logs::LogGroup" and each.get("PhysicalResourceId")
        ]
        return cls(account, target, options, description, parameters, groups)

    @property
    def cloud_options(self) -> str:
        """With which `loupe cloud` works on this stack."""
        return f"{self.options} --local" if self.account.home else self.options

    @property
    def update(self) -> str:
        """The command that deploys the stack again."""
        if self.account.home and "--stack" not in self.options:
            return "loupe down, then loupe up --detach"
        return f"loupe cloud update{self.cloud_options}"

    @property
    def endpoint_name(self) -> str:
        """The name of the stack's endpoint."""
        return self.target.output("EndpointName")


def unreachable(error: BotoCoreError | ClientError | Exception) -> Finding:
    """Return the finding for a stack that cannot be read at all."""
    hint = getattr(error, "hint", "")
    return Finding(Result.PROBLEM, str(error), hint, "stack")

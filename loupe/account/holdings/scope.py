"""What tells a stack's things from those of another: names from CloudFormation, roles, tags."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from loupe.account import history
from loupe.account.account import Account
from loupe.account.history import Incarnation

STACK_TAG = "aws:cloudformation:stack-name"
# AWS's error codes for what is not there.
_MISSING = (
    *("ResourceNotFound", "ResourceNotFoundException", "ObjectNotFoundException"),
    *(
        "NoSuchBucket",
        "404",
        "RepositoryNotFoundException",
        "StateMachineDoesNotExist",
        "ExecutionDoesNotExist",
    ),
    *("NoSuchEntity", "NoSuchEntityException", "NotFoundException"),
)
_INVALID = ("ValidationException", "ValidationError")
_MISSING_WORDS = ("could not find", "does not exist", "not found")
# The ARN's service and kind, for what outlives its stack, and CloudFormation's type.
_TAGGED = {
    re.compile(r"^arn:[\w-]+:s3:::([^/]+)$"): "AWS::S3::Bucket",
    re.compile(r"^arn:[\w-]+:dynamodb:[^:]*:\d*:table/([^/]+)$"): "AWS::DynamoDB::Table",
    re.compile(r"^arn:[\w-]+:cognito-idp:[^:]*:\d*:userpool/(.+)$"): "AWS::Cognito::UserPool",
    re.compile(
        r"^arn:[\w-]+:sagemaker:[^:]*:\d*:model-package-group/(.+)$"
    ): "AWS::SageMaker::ModelPackageGroup",
    re.compile(r"^arn:[\w-]+:logs:[^:]*:\d*:log-group:(.+?)(?::\*)?$"): "AWS::Logs::LogGroup",
    re.compile(r"^arn:[\w-]+:kms:[^:]*:\d*:key/(.+)$"): "AWS::KMS::Key",
}


@dataclass(frozen=True)
class Item:
    """A thing in the account that belongs to the stack.

    Attributes:
        kind: What it is, such as "endpoint".
        name: Its name, with which it is deleted.
        text: What is in it, or its state.
        data: Whether it is deleted only if the user asks for it.
    """

    kind: str
    name: str
    text: str = ""
    data: bool = False


@dataclass(frozen=True)
class Work:
    """What a deletion needs.

    Attributes:
        account: The account.
        tell: Receives a text for each step.
        pause: Seconds between two looks at something that takes time.
    """

    account: Account
    tell: Callable[[str], None]

    @property
    def pause(self) -> float:
        """Seconds between two looks at something that takes time."""
        return 0.1 if self.account.local else 5.0


@dataclass(frozen=True)
class Scope:
    """A stack, and what CloudFormation knows of it.

    Attributes:
        account: The account.
        incarnations: The stacks of that name; the one that exists is the first.
        others: The outputs of the account's other stacks that are Loupe's.
        tagged: What carries the stack's tag, by CloudFormation's type.
    """

    account: Account
    incarnations: list[Incarnation]
    others: list[dict[str, str]]
    tagged: dict[str, list[str]]

    @classmethod
    def read(cls, account: Account, ask: Callable[[Callable[[], Any], Any], Any]) -> Scope:
        """Ask CloudFormation and the tags.

        Args:
            account: The account.
            ask: Calls a function; returns the second argument instead if AWS does not answer.
        """
        return cls(
            account, history.read(account), history.others(account), ask(lambda: _read_tagged(account), {})
        )

    @cached_property
    def endpoints(self) -> set[str]:
        """The names that the stack's endpoint has, or had."""
        return {
            each.outputs.get("EndpointName") or each.parameters.get("EndpointName") or self._derived_endpoint
            for each in self.incarnations
        } or {self._derived_endpoint}

    @property
    def uniques(self) -> set[str]:
        """The beginnings of the names of jobs, without the hyphen."""
        return {unique for each in self.incarnations for unique in each.uniques}

    def names(self, resource_type: str, *outputs: str) -> list[str]:
        """Return the names of the stack's resources of a type, from its resources, outputs and tags."""
        found = [name for each in self.incarnations for name in each.of_type(resource_type)]
        found += [
            each.outputs[output] for each in self.incarnations for output in outputs if output in each.outputs
        ]
        return sorted({*found, *self.tagged.get(resource_type, [])})

    def has_role(self, arn: str) -> bool:
        """Return whether a role is the one of this stack's models.

        CloudFormation names it after the stack, the resource and a random end without a hyphen.
        """
        name = re.escape(self.account.stack)
        return re.fullmatch(rf"{name}-SageMakerRole-[A-Za-z0-9]+", arn.rpartition("/")[2]) is not None

    def claims(self, name: str) -> bool:
        """Return whether a name begins with this stack's endpoint, and not with the longer one of another stack."""
        foreign = {each["EndpointName"] for each in self.others}
        begins = [endpoint for endpoint in self.endpoints | foreign if name.startswith(f"{endpoint}-")]
        return bool(begins) and max(begins, key=len) in self.endpoints

    @property
    def _derived_endpoint(self) -> str:
        return f"{self.account.stack}-detector"


def existing(call: Callable[..., Any], **request: Any) -> dict[str, Any] | None:
    """Return the answer of a Describe operation; None if there is no such resource."""
    try:
        answer: dict[str, Any] = call(**request)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return answer


def is_missing(error: ClientError) -> bool:
    """Return whether AWS answered that there is no such resource."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "").lower()
    # SageMaker and CloudFormation have one code for this and for much else.
    return code in _MISSING or (code in _INVALID and any(words in message for words in _MISSING_WORDS))


def size(number: float) -> str:
    """Return a number of bytes as text.

    >>> size(1536), size(12)
    ('1.5 KiB', '12 bytes')
    """
    if number < 1024:
        return f"{number:.0f} bytes"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        number /= 1024
        if number < 1024 or unit == "TiB":
            break
    return f"{number:.1f} {unit}"


def _read_tagged(account: Account) -> dict[str, list[str]]:
    pages = account.client("resourcegroupstaggingapi").get_paginator("get_resources")
    tags = [{"Key": STACK_TAG, "Values": [account.stack]}]
    found: dict[str, list[str]] = {}
    for page in pages.paginate(TagFilters=tags):
        for mapping in page["ResourceTagMappingList"]:
            for pattern, resource_type in _TAGGED.items():
                if match := pattern.match(mapping["ResourceARN"]):
                    found.setdefault(resource_type, []).append(match[1])
    return found

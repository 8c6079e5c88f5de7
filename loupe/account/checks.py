"""What is looked at before anything is created: all problems together, each with what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from contract.instances import UnsuitableInstanceError
from loupe.account import cloudformation, images, quotas, settings, tools
from loupe.account.account import Account
from loupe.account.cloudformation import NEVER_CREATED, Stack
from loupe.account.problem import Problem
from loupe.account.settings import Settings, Wishes
from loupe.errors import LoupeError
from loupe.stack import deployment

# Buckets, endpoint and models are named after the stack; CloudFormation wants a letter first.
_STACK_NAME = re.compile(r"[a-z][a-z0-9-]{0,33}")
# Why no stack can be created there.
_PARTITIONS = {
    "aws-cn": "SageMaker's registry of models (ModelPackageGroup) does not exist in every region of it",
    # https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/setting-up-credentials.html
    "aws-us-gov": "CloudFront, which serves the dashboard, is outside of AWS GovCloud",
}
_SERVICES = (
    "sagemaker",
    "cognito-idp",
    "apigatewayv2",
    "stepfunctions",
    "lambda",
    "ecr",
    "application-autoscaling",
)


class Checked:
    """What the checks have found.

    Attributes:
        account: The account.
        wishes: What the options ask for.
        problems: What is wrong, in the order in which it is to be mended.
        stack: The stack that exists; None if there is none.
        settings: What the stack is to be; None if that cannot be told yet.
    """

    def __init__(self, account: Account, wishes: Wishes) -> None:
        """Initialize; `run` looks."""
        self.account, self.wishes = account, wishes
        self.problems: list[Problem] = []
        self.stack: Stack | None = None
        self.settings: Settings | None = None

    @property
    def failed(self) -> bool:
        """Whether nothing can be created."""
        return any(problem.level == "error" for problem in self.problems)

    def run(self, on_line: Callable[[str], None]) -> None:
        """Look at everything. Nothing is changed."""
        for name, look in (
            ("names and files", self._names),
            ("programs", self._programs),
            ("credentials and region", self._account),
        ):
            on_line(name)
            self.problems += look()
        if self.failed:
            return
        for name, look in (
            ("the stack", self._stack),
            ("parameters", self._parameters),
            ("quotas", self._quotas),
        ):
            on_line(name)
            try:
                self.problems += look()
            except (BotoCoreError, ClientError) as error:
                self.problems.append(_unreadable(name, error))

    def _names(self) -> Iterator[Problem]:
        if not _STACK_NAME.fullmatch(self.account.stack):
            yield Problem(
                "error",
                f"{self.account.stack!r} cannot be a stack's name",
                "At most 34 lower-case letters, digits and hyphens, the first a letter: --stack loupe",
            )
        if self.wishes.model is not None:
            yield from _refused(lambda: deployment.read_card(self.wishes.model or Path()))

    def _programs(self) -> Iterator[Problem]:
        for program in tools.missing():
            yield Problem(
                "error",
                f"the program {program} is not installed",
                f"Debian, Ubuntu: apt-get install {program}",
            )

    def _account(self) -> Iterator[Problem]:
        problems = [*_refused(lambda: self.account.partition), *_refused(lambda: self.account.account_id)]
        yield from problems
        if problems:
            return
        partition = self.account.partition
        if reason := _PARTITIONS.get(partition):
            yield Problem(
                "error",
                f"Loupe cannot be created in {self.account.region} ({partition}): {reason}",
                "Choose a region of the partition aws: export AWS_REGION=eu-central-1",
            )
        missing = [
            service
            for service in _SERVICES
            if self.account.region not in self.account.session.get_available_regions(service, partition)
        ]
        if missing:
            yield Problem(
                "warning",
                f"this boto3 does not know {', '.join(missing)} in {self.account.region}",
                "If AWS offers it there, all is well; else choose another region.",
            )

    def _stack(self) -> Iterator[Problem]:
        self.stack = stack = cloudformation.describe(self.account)
        if stack is None:
            return
        name = self.account.stack
        if not cloudformation.is_loupe(self.account, stack):
            yield Problem(
                "error", f"the stack {name} exists, and is not Loupe", "Choose another name: --stack NAME"
            )
        elif stack.status == "UPDATE_ROLLBACK_FAILED":
            yield Problem(
                "error",
                f"the stack {name} is {stack.status}: {stack.reason}",
                f"Correct that, then: aws cloudformation continue-update-rollback --stack-name {name}",
            )
        elif stack.status == "DELETE_FAILED":
            yield Problem(
                "error",
                f"the stack {name} is half deleted: {stack.reason}",
                f"Delete the rest first: loupe cloud destroy --stack {name}",
            )
        elif stack.status in NEVER_CREATED:
            yield Problem(
                "warning",
                f"the stack {name} was never created completely ({stack.status}): {stack.reason or 'no reason given'}",
                "CloudFormation wants it deleted first. The command does so, and creates it again.",
            )

    def _parameters(self) -> Iterator[Problem]:
        try:
            chosen = settings.settle(self.account, self.stack, self.wishes)
        except UnsuitableInstanceError as error:
            yield Problem("error", str(error), "Choose another: --parameter HostingInstanceType=ml.g5.xlarge")
            return
        except LoupeError as error:
            hint = f"{error.hint} Or name your own: --serving-image URI --training-image URI."
            yield Problem("error", error.message, hint)
            return
        problems = settings.problems(chosen.parameters)
        for text in problems:
            yield Problem("error", text, "See the parameters and what they accept in template.yaml.")
        if int(chosen.value("EndpointMinInstances")) > int(chosen.value("EndpointMaxInstances")):
            yield Problem("error", "EndpointMinInstances is above EndpointMaxInstances", "Set both.")
        if not problems:
            self.settings = chosen
        if chosen.images:
            yield from _refused(lambda: images.choose(self.wishes.builder, self.account))

    def _quotas(self) -> Iterator[Problem]:
        if self.settings:
            yield from quotas.check(self.account, self.settings)


def _refused(look: Callable[[], object]) -> list[Problem]:
    """Return what is wrong as a problem."""
    try:
        look()
    except LoupeError as error:
        return [Problem("error", error.message, error.hint)]
    return []


def _unreadable(what: str, error: Exception) -> Problem:
    return Problem(
        "error", f"{what} cannot be read: {error}", "Allow it, or use other credentials (AWS_PROFILE)."
    )

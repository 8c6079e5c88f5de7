"""Decides whether a role that one of AWS's services acts as may do something.

A service that acts as a role makes the same calls as a program with the role's credentials, and IAM decides about them
in the same way: by the role's policies, and by the policy of the resource
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html). The rules are MiniStack's.
"""

import contextvars
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.services import iam

from localcloud.permissions import recorder
from localcloud.permissions.definitions import definition


@dataclass(frozen=True)
class Check:
    """One permission that a call needs.

    Attributes:
        action: The action, such as "sagemaker:CreateModel".
        resource: The ARN that it is on; "*" if the action has no resources.
        context: The condition keys of the request, such as "iam:PassedToService".
        refusal: What AWS says if it is refused; empty for IAM's own message.
    """

    action: str
    resource: str
    context: Mapping[str, Any] = field(default_factory=dict)
    refusal: str = ""


@dataclass(frozen=True)
class Role:
    """A role that a service acts as.

    Attributes:
        arn: The role's ARN.
        session: The name of the session, which the ARN in messages ends with.
        region: The region that the service acts in.
    """

    arn: str
    session: str
    region: str

    @property
    def name(self) -> str:
        """The role's name."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def account(self) -> str:
        """The role's account; empty if it is not the ARN of a role."""
        parts = self.arn.split(":")
        return parts[4] if len(parts) > 4 else ""

    def trusts(self, service: str, source_arn: str = "") -> bool:
        """Return whether the role exists, and its trust policy lets a service of the account assume it.

        Args:
            service: The service's principal, such as "states.amazonaws.com".
            source_arn: The resource that the service acts for.
        """
        role: dict[str, Any] | None = iam._roles.get_scoped(self.account, None, self.name)
        if role is None:
            return False
        document = role.get("AssumeRolePolicyDocument") or {}
        context = self._context(
            Check(
                "sts:AssumeRole", self.arn, {"aws:SourceAccount": self.account, "aws:SourceArn": source_arn}
            )
        )
        effects = {
            statement["Effect"]
            for statement in _statements(document)
            if iam_evaluator._service_principal_matches(statement.get("Principal", {}), service)
            and iam_evaluator._action_matches("sts:AssumeRole", _as_list(statement.get("Action")), [])
            and iam_evaluator._conditions_met(statement.get("Condition", {}), context)
        }
        return effects == {"Allow"}

    def refusal(self, check: Check) -> str | None:
        """Return IAM's message if the role may not do something; None if it may."""
        context = self._context(check)
        policies = iam_evaluator._gather_role_policies(self.name, self.account)
        limits = iam_evaluator._permissions_boundary(iam._roles, self.name, self.account)
        result = iam_evaluator.evaluate(context, policies, *limits)
        service = check.action.partition(":")[0]
        found = iam_evaluator._resource_policy(service, check.resource)
        if found is not None:
            required = service in iam_evaluator._POLICY_REQUIRED
            result = iam_evaluator.combine_resource_policy(
                result, context, *found, required=required, limits=tuple(limits)
            )
        is_allowed = result.decision == "Allow"
        recorder.record(context, policies, is_allowed)
        if is_allowed:
            return None
        return check.refusal or iam_actions.identity_denial_message(
            check.action, context.principal_arn, check.resource, result.decision == "Deny"
        )

    def _context(self, check: Check) -> Any:
        """Return what IAM compares a policy with."""
        known = definition(check.action).conditions
        # A key that the service does not have for this action matches nothing on AWS, so it must not here.
        context = {
            key.lower(): value
            for key, value in check.context.items()
            if key.lower().startswith("aws:") or known is None or key in known
        }
        return iam_evaluator.EvalContext(
            principal_arn=f"arn:aws:sts::{self.account}:assumed-role/{self.name}/{self.session}",
            principal_type="AssumedRole",
            principal_account=self.account,
            action=check.action,
            resource_arn=check.resource,
            region=self.region,
            secure_transport=True,
            service_context={"aws:tagkeys": None, **context},
        )


_acting: contextvars.ContextVar[Role | None] = contextvars.ContextVar("acting", default=None)


def acting() -> Role | None:
    """Return the role that this thread's calls are made as; None outside of `act_as`."""
    return _acting.get()


@contextmanager
def act_as(role: Role) -> Iterator[None]:
    """Make calls as a role."""
    token = _acting.set(role)
    try:
        yield
    finally:
        _acting.reset(token)


def first_refusal(checks: list[Check]) -> tuple[Check, str] | None:
    """Return the first check that the acting role does not pass, and IAM's message; None if it passes all of them."""
    role = acting()
    if role is None:
        return None
    for check in checks:
        message = role.refusal(check)
        if message is not None:
            return check, message
    return None


def _statements(document: Any) -> list[dict[str, Any]]:
    policy = json.loads(document) if isinstance(document, str) else document
    return _as_list(policy.get("Statement"))


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]

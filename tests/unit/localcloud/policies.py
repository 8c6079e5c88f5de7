"""What the tests of roles share: a role in MiniStack's IAM with some policy."""

import json
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import iam

from localcloud.permissions.roles import Check, Role

ACCOUNT, REGION = "000000000000", "us-east-1"
_TRUST = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}


def allow(*actions: str, resource: Any = "*", **members: Any) -> dict[str, Any]:
    """Return a statement that allows some actions."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **members}


def make_role(*statements: dict[str, Any], trust: dict[str, Any] = _TRUST, name: str = "worker") -> Role:
    """Put a role into IAM; the caller's fixture empties it again."""
    with request_scope(ACCOUNT, REGION):
        iam._roles[name] = {
            "RoleName": name,
            "Arn": f"arn:aws:iam::{ACCOUNT}:role/{name}",
            "AssumeRolePolicyDocument": json.dumps({"Statement": [trust]}),
            "InlinePolicies": {"own": json.dumps({"Statement": list(statements)})},
            "AttachedPolicies": [],
        }
    return Role(f"arn:aws:iam::{ACCOUNT}:role/{name}", "session", REGION)


def may(role: Role, action: str, resource: str = "*", **context: Any) -> bool:
    """Return whether a role may do something; condition keys are given as cloudwatch__namespace."""
    keys = {key.replace("__", ":"): value for key, value in context.items()}
    with request_scope(ACCOUNT, REGION):
        return role.refusal(Check(action, resource, keys)) is None

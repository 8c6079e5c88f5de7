"""What AWS wants for an action: its resources, the keys of its conditions, and the actions that it depends on.

`actions.json` comes from AWS's service authorization reference (tests/permissions/definitions.py writes it);
`supplement.json` says with its sources what AWS documents elsewhere.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Need:
    """A permission that an action needs besides itself.

    Attributes:
        action: The action that must be allowed as well.
        on: What it is checked on, such as "images".
    """

    action: str
    on: str


@dataclass(frozen=True)
class Action:
    """An action, as IAM knows it.

    Attributes:
        resources: The format of the ARN of each type of resource that a policy may name.
        required: The types that a request always names, each of which must be allowed.
        dependent: The actions that AWS's reference lists as needed too, where the request has what they are for.
        conditions: The condition keys of services that a request has; None if they are not known.
        needs: The further permissions.
    """

    resources: dict[str, str]
    required: tuple[str, ...]
    dependent: tuple[str, ...]
    conditions: tuple[str, ...] | None
    needs: tuple[Need, ...]


_NOTHING = Action({}, (), (), None, ())
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


@cache
def _actions() -> dict[str, Action]:
    folder = resources.files("localcloud.permissions")
    known = json.loads((folder / "actions.json").read_text())["actions"]
    supplement = json.loads((folder / "supplement.json").read_text())["needs"]
    return {
        name: Action(
            entry["resources"],
            tuple(entry["required"]),
            tuple(entry["dependent"]),
            tuple(entry["conditions"]),
            tuple(Need(need["needs"], need["on"]) for need in supplement if need["action"] == name),
        )
        for name, entry in known.items()
    }


def definition(action: str) -> Action:
    """Return what is known of an action; an action that the product does not use has nothing but its name.

    >>> definition("sagemaker:UpdateEndpoint").required
    ('endpoint', 'endpoint-config')
    >>> definition("sagemaker:CreateModel").dependent
    ('iam:PassRole', 'sagemaker:AddTags')
    """
    return _actions().get(action, _NOTHING)


def any_resource(action: str, region: str, account: str) -> str | None:
    """Return the ARN of every resource of an action's only type, "*" if it has no type; None if that is not known.

    >>> any_resource("cloudwatch:DescribeAlarms", "eu-west-1", "111122223333")
    'arn:aws:cloudwatch:eu-west-1:111122223333:alarm:*'
    >>> any_resource("sagemaker:ListEndpointConfigs", "eu-west-1", "111122223333")
    '*'
    >>> any_resource("ec2:RunInstances", "eu-west-1", "111122223333")
    """
    known = _actions().get(action)
    if known is None or len(known.resources) > 1:
        return None
    places = {"Partition": "aws", "Region": region, "Account": account}
    for arn in known.resources.values():
        return _PLACEHOLDER.sub(lambda match: places.get(match[1], "*"), arn)
    return "*"

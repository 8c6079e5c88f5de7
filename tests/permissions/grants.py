"""What the roles of template.yaml allow, each permission for itself, and what the local cloud recorded of their use.

A grant is one action on one resource by one statement of one role, such as
"InspectRole ReadImages s3:GetObject ${ImagesBucket.Arn}/incoming/*". The local cloud records which statement allowed a
call, and the number of its resource, so that a recording of any stack can be compared with the template.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from localcloud.permissions.definitions import definition
from tests.permissions.definitions import as_list, statements

# The name that CloudFormation gives a role: <stack>-<logical ID>-<random>.
_ROLE = re.compile(r"[a-z0-9-]+?-(?P<role>[A-Z][A-Za-z0-9]*)-[0-9A-F]+")
# The type in an ARN: what follows the account, up to the name.
_TYPE = re.compile(r"arn:[^:]*:(?P<service>[^:]*):[^:]*:[^:]*:(?P<type>[^/:]+)[/:]")


def granted() -> dict[tuple[str, str, str, int], str]:
    """Return every grant of the template: role, statement, action, number of the resource -> the grant's text.

    A statement with several actions and resources allows an action only on those that it can be about.
    """
    grants = {}
    for role, statement in statements():
        for action in as_list(statement["Action"]):
            for number, resource in enumerate(as_list(statement["Resource"])):
                text = _text(resource)
                if _can_be_about(action, text):
                    grants[role, statement["Sid"], action, number] = (
                        f"{role} {statement['Sid']} {action} {text}"
                    )
    return grants


def used(folder: Path) -> set[str]:
    """Return the grants that local clouds used, by the files that they wrote.

    Args:
        folder: The folder that LOUPE_LOCAL_CALLS named.
    """
    known = granted()
    keys = {
        (match["role"], call["sid"], call["action"], call["resource"])
        for call in _calls(folder)
        if "sid" in call and (match := _ROLE.fullmatch(call["role"]))
    }
    return {known[key] for key in keys if key in known}


def denied(folder: Path) -> set[str]:
    """Return the calls of the template's roles that were refused: role, action and ARN."""
    roles = {role for role, *_ in granted()}
    return {
        f"{match['role']} {call['action']} {call['denied']}"
        for call in _calls(folder)
        if "denied" in call and (match := _ROLE.fullmatch(call["role"])) and match["role"] in roles
    }


def write(file: Path, grants: Iterable[str]) -> None:
    """Write grants, by role."""
    by_role: dict[str, list[str]] = {}
    for grant in sorted(grants):
        role, _, rest = grant.partition(" ")
        by_role.setdefault(role, []).append(rest)
    file.write_text(json.dumps(by_role, indent=1) + "\n")


def read(file: Path) -> set[str]:
    """Return the grants in a file."""
    return {f"{role} {rest}" for role, grants in json.loads(file.read_text()).items() for rest in grants}


def _calls(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            yield json.loads(line)


def _can_be_about(action: str, resource: str) -> bool:
    """Return whether an action has resources of the type in an ARN; true if the ARN's type is not written out.

    >>> _can_be_about("sagemaker:CreateModel", "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/one")
    False
    """
    types = {match["type"] for arn in definition(action).resources.values() if (match := _TYPE.match(arn))}
    # ${AWS::Region} has colons of its own.
    match = _TYPE.match(resource.replace("::", "."))
    return match is None or not types or match["type"] in types


def _text(resource: Any) -> str:
    """Return a resource of a statement as a text, with functions in the form of Fn::Sub."""
    if isinstance(resource, str):
        return resource
    ((function, argument),) = resource.items()
    if function == "Ref":
        return f"${{{argument}}}"
    if function == "Fn::GetAtt":
        return f"${{{'.'.join(as_list(argument))}}}"
    return str(as_list(argument)[0])

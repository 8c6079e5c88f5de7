"""What template.yaml declares for a function, as CloudFormation would resolve it: environment and permissions."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

TEMPLATE: dict[str, Any] = yaml_parse((Path(__file__).parents[3] / "template.yaml").read_text())
ACCOUNT, REGION = "123456789012", "eu-central-1"
OWN = "0123456789ab"  # the end of the stack's id
_PSEUDO = {
    "AWS::StackName": "press",
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/press/aaaaaaaa-bbbb-cccc-dddd-{OWN}",
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
}


@dataclass(frozen=True)
class Stack:
    """refs, arns: of resources by logical id; parameters: those that are not left at their defaults."""

    refs: Mapping[str, str]
    arns: Mapping[str, str]
    parameters: Mapping[str, str]

    def environment(self, function: str) -> dict[str, str]:
        """The variables that a function gets of its own."""
        declared = TEMPLATE["Resources"][function]["Properties"]["Environment"]["Variables"]
        return {name: str(self.value(each)) for name, each in declared.items()}

    def value(self, given: Any) -> Any:
        """A value with its intrinsic functions resolved."""
        if isinstance(given, list):
            return [self.value(each) for each in given]
        if not isinstance(given, dict):
            return given
        ((name, argument),) = given.items()
        match name:
            case "Ref":
                return self._ref(argument)
            case "Fn::GetAtt":
                return self._attribute(*(argument if isinstance(argument, list) else argument.split(".", 1)))
            case "Fn::Select":
                return self.value(argument[1])[int(argument[0])]
            case "Fn::Split":
                return str(self.value(argument[1])).split(argument[0])
            case "Fn::If":
                return self.value(argument[1] if self._holds(argument[0]) else argument[2])
            case "Fn::Sub":
                text, names = argument if isinstance(argument, list) else (argument, {})
                return re.sub(r"\$\{([^}]+)}", lambda found: self._named(found[1], names), text)
        raise AssertionError(f"{name} is not known here")

    def _ref(self, name: str) -> str:
        known = {**_PSEUDO, **self.refs, **self.parameters}
        return str(known[name] if name in known else TEMPLATE["Parameters"][name]["Default"])

    def _attribute(self, name: str, attribute: str) -> str:
        return self.arns.get(name, f"arn:aws:none:::{name}.{attribute}")

    def _named(self, name: str, names: Mapping[str, Any]) -> str:
        if name in names:
            return str(self.value(names[name]))
        return self._attribute(*name.split(".", 1)) if "." in name else self._ref(name)

    def _holds(self, condition: str) -> bool:
        ((operator, (one, other)),) = TEMPLATE["Conditions"][condition].items()
        assert operator == "Fn::Equals"
        return bool(self.value(one) == self.value(other))

    def _statements(self, role: str) -> Iterator[tuple[list[str], list[str], dict[str, Any]]]:
        for policy in TEMPLATE["Resources"][role]["Properties"]["Policies"]:
            for each in policy["PolicyDocument"]["Statement"]:
                assert each["Effect"] == "Allow"
                yield (
                    _listed(each["Action"]),
                    _listed(self.value(each["Resource"])),
                    each.get("Condition", {}),
                )

    def actions(self, role: str) -> set[str]:
        """Everything that a role may do somewhere."""
        return {action for actions, _, _ in self._statements(role) for action in actions}

    def allows(self, role: str, action: str, resource: str, **context: str) -> bool:
        """Whether a role may do this; context: condition keys, such as `prefix` for s3:prefix."""
        return any(
            action in actions
            and any(fnmatchcase(resource, pattern) for pattern in resources)
            and _met(condition, context)
            for actions, resources, condition in self._statements(role)
        )


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _met(condition: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """StringLike alone, which is what S3's listings are held to."""
    for operator, keys in condition.items():
        assert operator == "StringLike"
        for key, patterns in keys.items():
            given = context.get(key.partition(":")[2])
            if given is None or not any(fnmatchcase(given, pattern) for pattern in _listed(patterns)):
                return False
    return True

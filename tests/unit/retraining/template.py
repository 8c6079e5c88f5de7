"""Environment and permissions of a function, from template.yaml, as CloudFormation resolves them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.stack_template import stack_template

TEMPLATE: dict[str, Any] = stack_template()
ACCOUNT, REGION = "123456789012", "eu-central-1"
OWN = "01234567"  # the first field of the UUID in the stack's id
_PSEUDO = {
    "AWS::StackName": "press",
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/press/{OWN}-bbbb-cccc-dddd-aaaaaaaaaaaa",
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
}


@dataclass(frozen=True)
class Stack:
    """A stack of the template.

    Attributes:
        refs: What `Ref` returns for a resource, by logical id.
        arns: ARNs of resources, by logical id.
        parameters: Those that differ from their defaults.
        pseudo: Pseudo parameters that differ from those of the stack `press`.
    """

    refs: Mapping[str, str]
    arns: Mapping[str, str]
    parameters: Mapping[str, str]
    pseudo: Mapping[str, str] = field(default_factory=dict)

    def environment(self, function: str) -> dict[str, str]:
        """Return the variables that the template sets for a function alone."""
        declared = TEMPLATE["Resources"][function]["Properties"]["Environment"]["Variables"]
        return {name: str(self.value(value)) for name, value in declared.items()}

    def value(self, template: Any) -> Any:
        """Return a value of the template with its intrinsic functions resolved."""
        if isinstance(template, list):
            return [self.value(item) for item in template]
        if not isinstance(template, dict):
            return template
        ((name, argument),) = template.items()
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
                return re.sub(r"\$\{([^}]+)}", lambda match: self._named(match[1], names), text)
        raise AssertionError(f"{name} is not supported")

    def _ref(self, name: str) -> str:
        known = {**_PSEUDO, **self.pseudo, **self.refs, **self.parameters}
        return str(known[name] if name in known else TEMPLATE["Parameters"][name]["Default"])

    def _attribute(self, name: str, attribute: str) -> str:
        return self.arns.get(name, f"arn:aws:none:::{name}.{attribute}")

    def _named(self, name: str, names: Mapping[str, Any]) -> str:
        if name in names:
            return str(self.value(names[name]))
        return self._attribute(*name.split(".", 1)) if "." in name else self._ref(name)

    def _holds(self, condition: str) -> bool:
        declared = TEMPLATE["Conditions"][condition]
        negated = "Fn::Not" in declared
        ((operator, (one, other)),) = (declared["Fn::Not"][0] if negated else declared).items()
        assert operator == "Fn::Equals"
        return bool(self.value(one) == self.value(other)) is not negated

    def _statements(self, role: str) -> Iterator[tuple[list[str], list[str], dict[str, Any]]]:
        for policy in TEMPLATE["Resources"][role]["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                assert statement["Effect"] == "Allow"
                yield (
                    _listed(statement["Action"]),
                    _listed(self.value(statement["Resource"])),
                    statement.get("Condition", {}),
                )

    def actions(self, role: str) -> set[str]:
        """Return the actions that a role allows on any resource."""
        return {action for actions, _, _ in self._statements(role) for action in actions}

    def allows(self, role: str, action: str, resource: str, **context: str) -> bool:
        """Return whether a role allows a call. context: condition keys, such as `prefix` for s3:prefix."""
        return any(
            action in actions
            and any(fnmatchcase(resource, pattern) for pattern in resources)
            and _met(condition, context)
            for actions, resources, condition in self._statements(role)
        )


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _met(condition: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """Return whether a condition is met. Only StringLike is supported, which restricts S3's listings."""
    for operator, keys in condition.items():
        assert operator == "StringLike"
        for key, patterns in keys.items():
            value = context.get(key.partition(":")[2])
            if value is None or not any(fnmatchcase(value, pattern) for pattern in _listed(patterns)):
                return False
    return True

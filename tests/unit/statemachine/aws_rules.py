"""Rules for the retrain state machine with the template, the role, and the APIs that it calls.

Each rule yields the violations in a definition.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.model import ListShape, OperationModel, Shape, StructureShape

from localcloud.permissions.definitions import definition as definition_of
from statemachine.definition import Definition
from tests.stack_template import stack_template
from tests.unit.statemachine.rules import is_expression, tasks
from tests.unit.test_template import as_list, logical_id

TEMPLATE: dict[str, Any] = stack_template()["Resources"]
PROPERTIES = TEMPLATE["RetrainStateMachine"]["Properties"]
AWS = botocore.session.Session()
_PYTHON_TYPES: dict[str, Any] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
}


def tasks_time_out(definition: Definition) -> Iterator[str]:
    """Without a timeout a task may wait for a year; a function's own timeout must come first."""
    functions = {
        f"${{{name}}}": logical_id(value) for name, value in PROPERTIES["DefinitionSubstitutions"].items()
    }
    for name, task in tasks(definition):
        seconds = task.get("TimeoutSeconds")
        if not isinstance(seconds, int) or not 0 < seconds <= 99_999_999:
            yield f"{name}: no TimeoutSeconds"
        elif "lambda:" in task["Resource"]:
            function = functions[task["Arguments"]["FunctionName"]]
            if seconds <= TEMPLATE[function]["Properties"]["Timeout"]:
                yield f"{name}: times out before {function} does"


def substitutions_are_given(definition: Definition) -> Iterator[str]:
    needed = set(re.findall(r"\$\{(\w+)\}", json.dumps(definition)))
    given = PROPERTIES["DefinitionSubstitutions"].keys()
    yield from (f"{name}: template.yaml does not give it" for name in sorted(needed - given))
    yield from (f"{name}: the definition does not use it" for name in sorted(given - needed))


def operation(resource: str) -> tuple[str, OperationModel] | None:
    """Return the IAM service prefix and botocore's model of the API that a task calls; None for a function."""
    *_, service, action = resource.split(".")[0].split(":")
    if service == "lambda":
        return None
    client = {"applicationautoscaling": "application-autoscaling"}.get(service, service)
    return client, AWS.get_service_model(client).operation_model(action[0].upper() + action[1:])


def arguments_match_the_api(definition: Definition) -> Iterator[str]:
    for name, task in tasks(definition):
        api = operation(task["Resource"])
        if api and api[1].input_shape:
            yield from (f"{name}: {problem}" for problem in mismatches(task["Arguments"], api[1].input_shape))


def mismatches(value: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """Yield what is unknown, missing or of another type; an expression is known only at run time."""
    if is_expression(value) or (isinstance(value, str) and "${" in value and shape.type_name == "string"):
        return
    if not isinstance(value, _PYTHON_TYPES.get(shape.type_name, (int, float))):
        yield f"{path} is not a {shape.type_name}"
    elif isinstance(shape, StructureShape):
        given = dict(value)
        yield from (f"{path}{member} is unknown" for member in given.keys() - shape.members.keys())
        yield from (f"{path}{member} is missing" for member in shape.required_members if member not in given)
        for member in given.keys() & shape.members.keys():
            yield from mismatches(given[member], shape.members[member], f"{path}{member}.")
    elif isinstance(shape, ListShape):
        for number, item in enumerate(list(value)):
            yield from mismatches(item, shape.member, f"{path}{number}.")
    elif (choices := getattr(shape, "enum", None)) and value not in choices:
        yield f"{path}: {value} is not one of {choices}"


def the_role_allows_its_tasks(definition: Definition) -> Iterator[str]:
    statements = [
        statement
        for policy in TEMPLATE["RetrainRole"]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    allowed = {action for statement in statements for action in as_list(statement["Action"])}
    for name, task in tasks(definition):
        api = operation(task["Resource"])
        if api is None:
            needed = {"lambda:InvokeFunction"}
        else:
            service, model = api
            needed = {f"{service}:{model.name}"}
            if task["Resource"].endswith(".sync"):
                job = model.name.removeprefix("Create")
                needed |= {f"{service}:Describe{job}", f"{service}:Stop{job}", f"{service}:AddTags"}
                needed |= {"events:PutTargets", "events:PutRule", "events:DescribeRule"}
            # What AWS asks of the caller besides the call's own permission, such as reading a version's container.
            needed |= {need.action for action in sorted(needed) for need in definition_of(action).needs}
        yield from (f"{name}: {action} is not allowed" for action in sorted(needed - allowed))
    functions = {
        task["Arguments"]["FunctionName"] for _, task in tasks(definition) if "lambda:" in task["Resource"]
    }
    invoke = next(s for s in statements if "lambda:InvokeFunction" in as_list(s["Action"]))
    invocable = {f"${{{logical_id(resource)}}}" for resource in invoke["Resource"]}
    yield from (f"{function}: may not be invoked" for function in sorted(functions - invocable))

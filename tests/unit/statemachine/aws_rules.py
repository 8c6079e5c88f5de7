"""Rules for the retrain state machine and its surroundings: the template, the role, and the APIs it calls.

Each lists what of a definition breaks it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
from botocore.model import ListShape, OperationModel, Shape, StructureShape
from samtranslator.yaml_helper import yaml_parse

from statemachine.definition import Definition
from tests.unit.statemachine.rules import is_expression, tasks
from tests.unit.test_template import listed, target

TEMPLATE: dict[str, Any] = yaml_parse((Path(__file__).parents[3] / "template.yaml").read_text())["Resources"]
PROPERTIES = TEMPLATE["RetrainStateMachine"]["Properties"]
AWS = botocore.session.Session()
_PYTHONS: dict[str, Any] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
}


def tasks_time_out(definition: Definition) -> Iterator[str]:
    """A task without a limit of its own may wait for a year; a function must come to its own limit before."""
    functions = {
        f"${{{name}}}": target(value) for name, value in PROPERTIES["DefinitionSubstitutions"].items()
    }
    for name, task in tasks(definition):
        seconds = task.get("TimeoutSeconds")
        if not isinstance(seconds, int) or not 0 < seconds <= 99_999_999:
            yield f"{name}: no TimeoutSeconds"
        elif "lambda:" in task["Resource"]:
            function = functions[task["Arguments"]["FunctionName"]]
            if seconds <= TEMPLATE[function]["Properties"]["Timeout"]:
                yield f"{name}: ends before {function} does"


def substitutions_are_given(definition: Definition) -> Iterator[str]:
    wanted = set(re.findall(r"\$\{(\w+)\}", json.dumps(definition)))
    given = PROPERTIES["DefinitionSubstitutions"].keys()
    yield from (f"{name}: template.yaml does not give it" for name in sorted(wanted - given))
    yield from (f"{name}: template.yaml gives it in vain" for name in sorted(given - wanted))


def operation(resource: str) -> tuple[str, OperationModel] | None:
    """The IAM service prefix, and botocore's model, of what a task calls; None for what is not AWS's own API."""
    *_, service, action = resource.split(".")[0].split(":")
    if service == "lambda":
        return None
    client = {"applicationautoscaling": "application-autoscaling"}.get(service, service)
    return client, AWS.get_service_model(client).operation_model(action[0].upper() + action[1:])


def arguments_are_the_apis(definition: Definition) -> Iterator[str]:
    for name, task in tasks(definition):
        known = operation(task["Resource"])
        if known and known[1].input_shape:
            yield from (f"{name}: {problem}" for problem in misfits(task["Arguments"], known[1].input_shape))


def misfits(value: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """What of the written part is no member, of another type, or missing; what is an expression shows at run time."""
    if is_expression(value) or (isinstance(value, str) and "${" in value and shape.type_name == "string"):
        return
    if not isinstance(value, _PYTHONS.get(shape.type_name, (int, float))):
        yield f"{path} is no {shape.type_name}"
    elif isinstance(shape, StructureShape):
        given = dict(value)
        yield from (f"{path}{each} is unknown" for each in given.keys() - shape.members.keys())
        yield from (f"{path}{each} is missing" for each in shape.required_members if each not in given)
        for each in given.keys() & shape.members.keys():
            yield from misfits(given[each], shape.members[each], f"{path}{each}.")
    elif isinstance(shape, ListShape):
        for number, item in enumerate(list(value)):
            yield from misfits(item, shape.member, f"{path}{number}.")
    elif (choices := getattr(shape, "enum", None)) and value not in choices:
        yield f"{path}: {value} is none of {choices}"


def the_role_allows_its_tasks(definition: Definition) -> Iterator[str]:
    statements = [
        statement
        for policy in TEMPLATE["RetrainRole"]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    allowed = {action for statement in statements for action in listed(statement["Action"])}
    for name, task in tasks(definition):
        known = operation(task["Resource"])
        if known is None:
            needed = {"lambda:InvokeFunction"}
        else:
            service, model = known
            needed = {f"{service}:{model.name}"}
            if task["Resource"].endswith(".sync"):
                job = model.name.removeprefix("Create")
                needed |= {f"{service}:Describe{job}", f"{service}:Stop{job}", f"{service}:AddTags"}
                needed |= {"events:PutTargets", "events:PutRule", "events:DescribeRule"}
        yield from (f"{name}: {action} is not allowed" for action in sorted(needed - allowed))
    functions = {
        task["Arguments"]["FunctionName"] for _, task in tasks(definition) if "lambda:" in task["Resource"]
    }
    callable_ = next(s for s in statements if "lambda:InvokeFunction" in listed(s["Action"]))
    there = {f"${{{target(resource)}}}" for resource in callable_["Resource"]}
    yield from (f"{function}: may not be invoked" for function in sorted(functions - there))

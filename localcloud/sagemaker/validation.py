"""Checks requests against botocore's model of SageMaker, so that a typo fails as it does on AWS."""

import re
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

from localcloud.sagemaker.aws_errors import invalid

# Java's character classes, and characters as surrogate pairs: Python's `re` does not read them.
_JAVA_ONLY = re.compile(r"\\p\{|\\uD8")


@cache
def operation(name: str, service: str = "sagemaker") -> OperationModel:
    """Return botocore's model of an operation.

    Raises:
        botocore.model.OperationNotFoundError: If the service has no such operation.
    """
    return _service(service).operation_model(name)


@cache
def _service(name: str) -> ServiceModel:
    # SageMaker's model is large: read it once, not for each operation.
    return botocore.session.Session().get_service_model(name)


def validate(name: str, request: dict[str, Any], service: str = "sagemaker") -> None:
    """Check a request: required and unknown members, types, lengths, patterns, enums.

    Args:
        name: The operation.
        request: Its parameters.
        service: The service of the operation, by botocore's name.

    Raises:
        AwsError: ValidationException, with every problem found.
    """
    shape = operation(name, service).input_shape
    if shape is None:
        return
    report = ParamValidator().validate(request, shape)
    problems = report.generate_report().splitlines() if report.has_errors() else []
    problems += _unmet_constraints(request, shape, "")
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise invalid(count + "; ".join(problems))


def shape_answer(name: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return the members of `record` that belong to the answer of operation `name`, without members of ours."""
    shape = operation(name).output_shape
    return _members(record, shape) if shape is not None else {}


def _members(value: Any, shape: Shape) -> Any:
    if isinstance(shape, StructureShape):
        return {key: _members(value[key], member) for key, member in shape.members.items() if key in value}
    if isinstance(shape, ListShape):
        return [_members(item, shape.member) for item in value]
    return value


def _unmet_constraints(value: Any, shape: Shape, path: str) -> list[str]:
    """Check what botocore's validator leaves to the service: unknown members, patterns, maximum lengths, enums."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        unknown = [f"Unknown member '{path}{key}'" for key in value if key not in shape.members]
        known = [(key, item) for key, item in value.items() if key in shape.members]
        return unknown + [
            problem
            for key, item in known
            for problem in _unmet_constraints(item, shape.members[key], f"{path}{key}.")
        ]
    if isinstance(shape, ListShape) and isinstance(value, list):
        in_items = [
            problem
            for number, item in enumerate(value, 1)
            for problem in _unmet_constraints(item, shape.member, f"{path}{number}.member.")
        ]
        return _too_long(value, shape, path) + in_items
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return [
            problem
            for key, item in value.items()
            for problem in _unmet_constraints(item, shape.value, f"{path}{key}.")
        ]
    if isinstance(value, str):
        return _too_long(value, shape, path) + _wrong_text(value, shape, path)
    return []


def _problem(value: Any, path: str, constraint: str) -> str:
    return f"Value '{value}' at '{path.rstrip('.')}' failed to satisfy constraint: Member must {constraint}"


def _too_long(value: Any, shape: Shape, path: str) -> list[str]:
    longest = shape.metadata.get("max")
    if longest is None or len(value) <= longest:
        return []
    return [_problem(value, path, f"have length less than or equal to {longest}")]


def _wrong_text(value: str, shape: Shape, path: str) -> list[str]:
    problems = []
    choices = getattr(shape, "enum", None)
    if choices and value not in choices:
        problems.append(_problem(value, path, f"satisfy enum value set: [{', '.join(choices)}]"))
    pattern = shape.metadata.get("pattern")
    # Patterns are Java's; the few that Python cannot read protect no member that matters here.
    if pattern and not _JAVA_ONLY.search(pattern) and not re.fullmatch(pattern, value):
        problems.append(_problem(value, path, f"satisfy regular expression pattern: {pattern}"))
    return problems

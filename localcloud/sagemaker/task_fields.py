"""Refuses fields that a task's API does not have, as Step Functions does: with States.Runtime, which nothing catches.

"The field Filter is not supported by Step Functions"
(https://docs.aws.amazon.com/step-functions/latest/dg/connect-parameters.html); the cause is in
https://github.com/aws/aws-step-functions-data-science-sdk-python/issues/15.
"""

import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.model import ListShape, MapShape, OperationNotFoundError, Shape, StructureShape
from ministack.services import stepfunctions

from localcloud.sagemaker.validation import operation

_OPTIMIZED = "arn:aws:states:::sagemaker:"
_SDK = "arn:aws:states:::aws-sdk:"
# Step Functions names services as the SDK for Java does.
_SERVICES = {
    "applicationautoscaling": "application-autoscaling",
    "cloudwatchlogs": "logs",
    "eventbridge": "events",
    "sfn": "stepfunctions",
}
# The optimized integrations know an older API than the SDK's. What they know is documented no more. The API got these
# fields in 2022 and 2023, so whoever needs them uses the SDK's integration.
_NEWER = {
    "createHyperParameterTuningJob": {
        "Autotune",
        "BestObjectiveNotImproving",
        "ConvergenceDetected",
        "HyperParameterTuningResourceConfig",
        "RandomSeed",
        "StrategyConfig",
    },
}


def connect() -> None:
    """Patch MiniStack: a task whose request has other fields than its API fails before it calls anything."""
    invoke = stepfunctions._invoke_resource

    def invoke_with_known_fields(resource: str, request: Any) -> Any:
        if problems := list(_problems(resource, request)):
            raise stepfunctions._ExecutionError(
                "States.Runtime",
                f"The Parameters '{json.dumps(request)}' could not be used to start the Task: "
                f"[{', '.join(problems)}]",
            )
        return invoke(resource, request)

    stepfunctions._invoke_resource = invoke_with_known_fields


def _problems(resource: str, request: Any) -> Iterator[str]:
    if resource.startswith(_OPTIMIZED):
        service, action = "sagemaker", resource.removeprefix(_OPTIMIZED).partition(".")[0]
        newer = _NEWER.get(action, set())
    elif resource.startswith(_SDK):
        service, _, action = resource.removeprefix(_SDK).partition(".")[0].partition(":")
        newer = set()
    else:
        return
    try:
        shape = operation(action[:1].upper() + action[1:], _SERVICES.get(service, service)).input_shape
    except (OperationNotFoundError, UnknownServiceError):
        return
    for field in _unknown(request, shape, newer):
        yield f'The field "{field}" is not supported by Step Functions'
    for field in shape.required_members if isinstance(shape, StructureShape) else ():
        if isinstance(request, dict) and _pascal(field) not in request:
            yield f"The field '{_pascal(field)}' is required but was missing"


def _unknown(value: Any, shape: Shape | None, newer: set[str]) -> Iterator[str]:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        members = {_pascal(name): member for name, member in shape.members.items()}
        for field, item in value.items():
            if field not in members or field in newer:
                yield field
            else:
                yield from _unknown(item, members[field], newer)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for item in value:
            yield from _unknown(item, shape.member, newer)
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        for item in value.values():
            yield from _unknown(item, shape.value, newer)


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]

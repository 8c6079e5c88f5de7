"""The seam to Step Functions: SageMaker's tasks in MiniStack's state machines, on our SageMaker.

arn:aws:states:::sagemaker:createTrainingJob.sync and its like (Step Functions developer guide, "Create and
manage Amazon SageMaker AI jobs with Step Functions"), and arn:aws:states:::aws-sdk:sagemaker:<operation>.
"""

import contextvars
import json
import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.model import ListShape, OperationNotFoundError, Shape, StructureShape
from ministack.services import stepfunctions

from loupe.local.sagemaker.errors import AwsError
from loupe.local.sagemaker.validation import operation

if TYPE_CHECKING:
    from loupe.local.sagemaker.api import SageMaker

_OPTIMISED = "arn:aws:states:::sagemaker:"
_SDK = "arn:aws:states:::aws-sdk:sagemaker:"
# The optimised operations, and the kind of job that `.sync` waits for.
_OPERATIONS = {
    "createEndpoint": None,
    "createEndpointConfig": None,
    "createHyperParameterTuningJob": "HyperParameterTuningJob",
    "createModel": None,
    "createProcessingJob": "ProcessingJob",
    "createTrainingJob": "TrainingJob",
    "updateEndpoint": None,
}
_POLL_S = 0.2
# Set by whoever runs the current task: True once nobody waits for its result any more.
_abandoned: contextvars.ContextVar[Callable[[], bool]] = contextvars.ContextVar(
    "abandoned", default=lambda: False
)


def connect(sagemaker: "SageMaker") -> None:
    """Patch MiniStack: state machines of this process use `sagemaker`."""
    execute, invoke = stepfunctions._execute_task, stepfunctions._invoke_resource
    invoke_timed = stepfunctions._invoke_resource_with_timeout

    def execute_task(
        state: dict[str, Any], given: Any, execution: dict[str, Any] | None, *context: Any
    ) -> Any:
        running = execution if execution is not None else {"status": "RUNNING"}
        before = _abandoned.set(lambda: running["status"] != "RUNNING")
        try:
            return execute(state, given, execution, *context)
        finally:
            _abandoned.reset(before)

    def invoke_resource(resource: str, given: dict[str, Any]) -> Any:
        if resource.startswith(_OPTIMISED):
            return _optimised(sagemaker, resource.removeprefix(_OPTIMISED), given)
        if resource.startswith(_SDK):
            return _sdk(sagemaker, resource.removeprefix(_SDK), given)
        return invoke(resource, given)

    def invoke_with_timeout(resource: str, given: dict[str, Any], timeout: float) -> Any:
        outer, late = _abandoned.get(), threading.Event()
        before = _abandoned.set(lambda: late.is_set() or outer())
        try:
            return invoke_timed(resource, given, timeout)
        except stepfunctions._ExecutionError:
            late.set()
            raise
        finally:
            _abandoned.reset(before)

    stepfunctions._execute_task = execute_task
    stepfunctions._invoke_resource = invoke_resource
    stepfunctions._invoke_resource_with_timeout = invoke_with_timeout


def _optimised(sagemaker: "SageMaker", action: str, given: dict[str, Any]) -> dict[str, Any]:
    name, _, pattern = action.partition(".")
    kind = _OPERATIONS.get(name)
    if name not in _OPERATIONS or pattern not in ("", "sync") or (pattern and kind is None):
        raise stepfunctions._ExecutionError("States.Runtime", f"The local cloud has no {_OPTIMISED}{action}.")
    pascal = name[0].upper() + name[1:]
    try:
        answer = sagemaker.call(pascal, given)
    except AwsError as error:
        cause = (
            f"{error.message} (Service: AmazonSageMaker; Status Code: {error.status}; "
            f"Error Code: {error.code}; Request ID: {uuid.uuid4()}; Proxy: null)"
        )
        raise stepfunctions._ExecutionError(_error_name(error, "AmazonSageMakerException"), cause) from error
    if not pattern or kind is None:
        return answer | {
            "SdkHttpMetadata": {"HttpStatusCode": 200},
            "SdkResponseMetadata": {"RequestId": str(uuid.uuid4())},
        }
    return _finished(sagemaker, kind, given[f"{kind}Name"])


def _finished(sagemaker: "SageMaker", kind: str, name: str) -> dict[str, Any]:
    """The Describe answer of a job once it has ended; a job that nobody waits for any more is stopped."""
    shape = operation(f"Describe{kind}").output_shape
    while True:
        answer = sagemaker.call(f"Describe{kind}", {f"{kind}Name": name})
        status = answer[f"{kind}Status"]
        described: dict[str, Any] = _milliseconds(answer, shape)
        if status == "Completed":
            return described
        if status in ("Failed", "Stopped"):
            raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(described))
        if _abandoned.get()():
            try:
                sagemaker.call(f"Stop{kind}", {f"{kind}Name": name})
            except AwsError:  # it has ended meanwhile
                continue
            return described
        time.sleep(_POLL_S)


def _sdk(sagemaker: "SageMaker", action: str, given: dict[str, Any]) -> Any:
    name = action[0].upper() + action[1:]
    try:
        operation(name)
    except OperationNotFoundError as error:
        raise stepfunctions._ExecutionError("States.Runtime", f"SageMaker has no {action}.") from error
    try:
        answer = sagemaker.call(name, stepfunctions._sdk_json_params({}, "sagemaker", name, given))
    except AwsError as error:
        cause = (
            f"{error.message} (Service: SageMaker, Status Code: {error.status}, Request ID: {uuid.uuid4()})"
        )
        raise stepfunctions._ExecutionError(_error_name(error, "SageMakerException"), cause) from error
    return stepfunctions._sdk_json_result("sagemaker", name, answer)


def _error_name(error: AwsError, other: str) -> str:
    """The SDK for Java has a class for each error that the API's model names, and one for all others."""
    modelled = ("ConflictException", "ResourceInUse", "ResourceLimitExceeded", "ResourceNotFound")
    if error.code not in modelled:
        return f"SageMaker.{other}"
    return f"SageMaker.{error.code.removesuffix('Exception')}Exception"


def _milliseconds(value: Any, shape: Shape | None) -> Any:
    """Times as the optimised integration writes them: milliseconds since 1970."""
    if isinstance(shape, StructureShape):
        return {key: _milliseconds(item, shape.members.get(key)) for key, item in value.items()}
    if isinstance(shape, ListShape):
        return [_milliseconds(item, shape.member) for item in value]
    if shape is not None and shape.type_name == "timestamp":
        return round(value * 1000)
    return value

"""The seam to Step Functions: SageMaker's tasks in MiniStack's state machines, on our SageMaker.

arn:aws:states:::sagemaker:createTrainingJob.sync and its like (Step Functions developer guide, "Create and
manage Amazon SageMaker AI jobs with Step Functions"), and arn:aws:states:::aws-sdk:sagemaker:<operation>.
"""

import contextvars
import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.model import ListShape, OperationNotFoundError, Shape, StructureShape
from ministack.services import stepfunctions

from localcloud.sagemaker import executions
from localcloud.sagemaker.errors import AwsError
from localcloud.sagemaker.validation import operation

if TYPE_CHECKING:
    from localcloud.sagemaker.api import SageMaker

_OPTIMISED = "arn:aws:states:::sagemaker:"
_SDK = "arn:aws:states:::aws-sdk:sagemaker:"
_SCALING = "arn:aws:states:::aws-sdk:applicationautoscaling:"
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


@dataclass(frozen=True)
class _Task:
    """Who waits for the result of the task that this thread runs."""

    execution: dict[str, Any]
    late: threading.Event = field(default_factory=threading.Event)

    def abandoned(self) -> bool:
        """Nobody any more: the execution has ended, or the task's time is over."""
        return self.late.is_set() or self.execution["status"] != "RUNNING"


_NOBODY = _Task({"status": "RUNNING", "events": []})
_token: contextvars.ContextVar[str | None] = contextvars.ContextVar("token", default=None)
_task: contextvars.ContextVar[_Task] = contextvars.ContextVar("task", default=_NOBODY)


def connect(sagemaker: "SageMaker") -> None:
    """Patch MiniStack: state machines of this process use `sagemaker`."""
    execute, invoke = stepfunctions._execute_task, stepfunctions._invoke_resource
    invoke_timed = stepfunctions._invoke_resource_with_timeout

    def execute_task(
        state: dict[str, Any], given: Any, execution: dict[str, Any] | None, *context: Any
    ) -> Any:
        before = _task.set(_Task(execution) if execution is not None else _task.get())
        try:
            return execute(state, given, execution, *context)
        finally:
            _task.reset(before)

    def invoke_resource(resource: str, given: dict[str, Any]) -> Any:
        if resource.startswith(_OPTIMISED):
            return _optimised(sagemaker, resource.removeprefix(_OPTIMISED), given)
        if resource.startswith(_SDK):
            return _sdk(sagemaker, resource.removeprefix(_SDK), given)
        if resource.startswith(_SCALING):
            return _scaling(sagemaker, resource.removeprefix(_SCALING), given)
        return invoke(resource, given)

    def invoke_with_timeout(resource: str, given: dict[str, Any], timeout: float) -> Any:
        task = _Task(_task.get().execution)
        before = _task.set(task)
        try:
            return invoke_timed(resource, given, timeout)
        except stepfunctions._ExecutionError:
            task.late.set()
            raise
        finally:
            _task.reset(before)

    executions.remember_variables()
    with_callback, call_lambda = stepfunctions._invoke_with_callback, stepfunctions._call_lambda

    def invoke_with_callback(resource: str, given: Any, token: str, state: dict[str, Any]) -> Any:
        before = _token.set(token)
        try:
            return with_callback(resource, given, token, state)
        finally:
            _token.reset(before)

    def call_function(function: str, event: Any) -> Any:
        try:
            return call_lambda(function, event)
        except stepfunctions._ExecutionError as error:
            # MiniStack would wait for the token's answer, though nobody was given the token.
            waiting = stepfunctions._task_tokens.get(_token.get())
            if waiting is not None:
                waiting["error"] = {"Error": error.error, "Cause": error.cause}
                waiting["event"].set()
            raise

    stepfunctions._invoke_with_callback = invoke_with_callback
    stepfunctions._call_lambda = call_function
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
        answer = _call(sagemaker, pascal, given)
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


def _call(sagemaker: "SageMaker", name: str, given: dict[str, Any]) -> dict[str, Any]:
    """An operation; what a state had created before a restart of the cloud, it need not create again."""
    try:
        return sagemaker.call(name, given)
    except AwsError as error:
        execution, kind = _task.get().execution, name.removeprefix("Create")
        if not executions.went_on(execution) or kind == name or "already exist" not in error.message:
            raise
        found = sagemaker.call(f"Describe{kind}", {f"{kind}Name": given[f"{kind}Name"]})
        if found["CreationTime"] < datetime.fromisoformat(execution["startDate"]).timestamp():
            raise
        return {f"{kind}Arn": found[f"{kind}Arn"]}


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
        if _task.get().abandoned():
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
        answer = _call(sagemaker, name, stepfunctions._sdk_json_params({}, "sagemaker", name, given))
    except AwsError as error:
        cause = (
            f"{error.message} (Service: SageMaker, Status Code: {error.status}, Request ID: {uuid.uuid4()})"
        )
        raise stepfunctions._ExecutionError(_error_name(error, "SageMakerException"), cause) from error
    return stepfunctions._sdk_json_result("sagemaker", name, answer)


def _scaling(sagemaker: "SageMaker", action: str, given: dict[str, Any]) -> dict[str, Any]:
    try:
        return sagemaker.scaling.call(action[0].upper() + action[1:], given)
    except AwsError as error:
        name = f"ApplicationAutoScaling.{error.code.removesuffix('Exception')}Exception"
        raise stepfunctions._ExecutionError(name, error.message) from error


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

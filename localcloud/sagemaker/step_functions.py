"""Connects SageMaker with MiniStack's Step Functions: SageMaker's tasks in state machines.

arn:aws:states:::sagemaker:createTrainingJob.sync and similar ones (Step Functions developer guide, "Create and
manage Amazon SageMaker AI jobs with Step Functions"), and arn:aws:states:::aws-sdk:sagemaker:<operation>.
"""

import contextvars
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.model import ListShape, OperationNotFoundError, Shape, StructureShape
from ministack.services import stepfunctions

from localcloud import stopping
from localcloud.ministack.step_functions import was_resumed
from localcloud.permissions.roles import Check, Role, acting
from localcloud.sagemaker.api import SageMaker
from localcloud.sagemaker.authorization import SAGEMAKER, SCALING, Authorization
from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.validation import operation

_OPTIMIZED = "arn:aws:states:::sagemaker:"
_SDK = "arn:aws:states:::aws-sdk:sagemaker:"
_SDK_SCALING = "arn:aws:states:::aws-sdk:applicationautoscaling:"
# The operations of the optimized integration, and the kind of job that `.sync` waits for.
_OPERATIONS = {
    "createEndpoint": None,
    "createEndpointConfig": None,
    "createHyperParameterTuningJob": "HyperParameterTuningJob",
    "createModel": None,
    "createProcessingJob": "ProcessingJob",
    "createTrainingJob": "TrainingJob",
    "createTransformJob": "TransformJob",
    "updateEndpoint": None,
}
# The errors that the API's model names: the SDK for Java has a class for each of them, and one for all others.
_MODELLED_ERRORS = ("ConflictException", "ResourceInUse", "ResourceLimitExceeded", "ResourceNotFound")
_POLL_S = 0.2


@dataclass(frozen=True)
class _Task:
    """The task that this thread runs.

    Attributes:
        execution: The execution that waits for the task's result.
        timed_out: Set when the task's time is over.
    """

    execution: dict[str, Any]
    timed_out: threading.Event = field(default_factory=threading.Event)

    def abandoned(self) -> bool:
        """Return whether nobody waits any longer."""
        return self.timed_out.is_set() or self.execution["status"] != "RUNNING"


_NO_TASK = _Task({"status": "RUNNING", "events": []})
_task: contextvars.ContextVar[_Task] = contextvars.ContextVar("task", default=_NO_TASK)


def connect(sagemaker: SageMaker) -> None:
    """Patch MiniStack: state machines of this process use `sagemaker`."""
    _follow_tasks()
    invoke = stepfunctions._invoke_resource

    def invoke_resource(resource: str, request: dict[str, Any]) -> Any:
        if resource.startswith(_OPTIMIZED):
            return _invoke_optimized(sagemaker, resource.removeprefix(_OPTIMIZED), request)
        if resource.startswith(_SDK):
            return _invoke_sdk(sagemaker, resource.removeprefix(_SDK), request)
        if resource.startswith(_SDK_SCALING):
            return _invoke_scaling(sagemaker, resource.removeprefix(_SDK_SCALING), request)
        return invoke(resource, request)

    stepfunctions._invoke_resource = invoke_resource


def _follow_tasks() -> None:
    """Patch MiniStack: `_task` is the running task, so that a job is stopped when nobody waits for it any longer."""
    execute, invoke_with_timeout = stepfunctions._execute_task, stepfunctions._invoke_resource_with_timeout

    def execute_task(
        state: dict[str, Any], state_input: Any, execution: dict[str, Any] | None, *context: Any
    ) -> Any:
        with _current(_Task(execution) if execution is not None else _task.get()):
            return execute(state, state_input, execution, *context)

    def invoke_and_note_timeout(resource: str, request: dict[str, Any], timeout: float) -> Any:
        task = _Task(_task.get().execution)
        with _current(task):
            try:
                return invoke_with_timeout(resource, request, timeout)
            except stepfunctions._ExecutionError:
                task.timed_out.set()
                raise

    stepfunctions._execute_task = execute_task
    stepfunctions._invoke_resource_with_timeout = invoke_and_note_timeout


@contextmanager
def _current(task: _Task) -> Iterator[None]:
    previous = _task.set(task)
    try:
        yield
    finally:
        _task.reset(previous)


def _invoke_optimized(sagemaker: SageMaker, action: str, request: dict[str, Any]) -> dict[str, Any]:
    name, _, pattern = action.partition(".")
    kind = _OPERATIONS.get(name)
    if name not in _OPERATIONS or pattern not in ("", "sync") or (pattern and kind is None):
        raise stepfunctions._ExecutionError("States.Runtime", f"The local cloud has no {_OPTIMIZED}{action}.")
    try:
        answer = _call(sagemaker, _operation_name(name), request, is_followed=bool(pattern))
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
    return _wait_for_job(sagemaker, kind, request[f"{kind}Name"])


def _invoke_sdk(sagemaker: SageMaker, action: str, request: dict[str, Any]) -> Any:
    name = _operation_name(action)
    try:
        operation(name)
    except OperationNotFoundError as error:
        raise stepfunctions._ExecutionError("States.Runtime", f"SageMaker has no {action}.") from error
    try:
        answer = _call(sagemaker, name, stepfunctions._sdk_json_params({}, "sagemaker", name, request))
    except AwsError as error:
        cause = (
            f"{error.message} (Service: SageMaker, Status Code: {error.status}, Request ID: {uuid.uuid4()})"
        )
        raise stepfunctions._ExecutionError(_error_name(error, "SageMakerException"), cause) from error
    return stepfunctions._sdk_json_result("sagemaker", name, answer)


def _invoke_scaling(sagemaker: SageMaker, action: str, request: dict[str, Any]) -> dict[str, Any]:
    role = acting()
    try:
        if role is not None:
            _authorize(sagemaker, role, SCALING, _operation_name(action), request)
        return sagemaker.scaling.call(_operation_name(action), request)
    except AwsError as error:
        name = f"ApplicationAutoScaling.{error.code.removesuffix('Exception')}Exception"
        raise stepfunctions._ExecutionError(name, error.message) from error


def _call(
    sagemaker: SageMaker, name: str, request: dict[str, Any], is_followed: bool = False
) -> dict[str, Any]:
    """Call an operation as the role; what a state has created before a restart of the cloud is not created again."""
    role = acting()
    if role is not None:
        _authorize(sagemaker, role, SAGEMAKER, name, request)
        if is_followed:
            _authorize_following(sagemaker, role, name.removeprefix("Create"), request)
    try:
        return sagemaker.call(name, request)
    except AwsError as error:
        execution, kind = _task.get().execution, name.removeprefix("Create")
        if not was_resumed(execution) or kind == name or "already exist" not in error.message:
            raise
        existing = sagemaker.call(f"Describe{kind}", {f"{kind}Name": request[f"{kind}Name"]})
        if existing["CreationTime"] < datetime.fromisoformat(execution["startDate"]).timestamp():
            raise
        return {f"{kind}Arn": existing[f"{kind}Arn"]}


def _authorize(sagemaker: SageMaker, role: Role, service: str, name: str, request: dict[str, Any]) -> None:
    """Check what the state machine's role may do. Raises AwsError."""
    Authorization(sagemaker, role.region, role.account).authorize(service, name, request, role.refusal)


def _authorize_following(sagemaker: SageMaker, role: Role, kind: str, request: dict[str, Any]) -> None:
    """Check what `.sync` needs: it tags the job as its own, and looks at it. Raises AwsError.

    https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html#sagemaker-iam and
    https://github.com/aws/aws-cdk/issues/32294
    """
    arn = sagemaker.arn(kind, str(request.get(f"{kind}Name")))
    for name in ("AddTags", "ListTags", f"Describe{kind}"):
        if (message := role.refusal(Check(f"{SAGEMAKER}:{name}", arn))) is not None:
            raise AwsError("AccessDeniedException", message)


def _wait_for_job(sagemaker: SageMaker, kind: str, name: str) -> dict[str, Any]:
    """Return a job's description once it has ended; stop the job if nobody waits for it any longer.

    Raises:
        CloudStoppedError: If the cloud stops; the job begins again at the next start, and so does this wait.
    """
    shape = operation(f"Describe{kind}").output_shape
    while True:
        answer = sagemaker.call(f"Describe{kind}", {f"{kind}Name": name})
        status = answer[f"{kind}Status"]
        description: dict[str, Any] = _with_milliseconds(answer, shape)
        if status == "Completed":
            return description
        if status in ("Failed", "Stopped"):
            raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(description))
        if _task.get().abandoned():
            try:
                _call(sagemaker, f"Stop{kind}", {f"{kind}Name": name})
            except AwsError:  # it has ended meanwhile, or the role may not stop it
                stopping.pause(_POLL_S)
                continue
            return description
        stopping.pause(_POLL_S)


def _operation_name(action: str) -> str:
    return action[0].upper() + action[1:]


def _error_name(error: AwsError, other: str) -> str:
    if error.code not in _MODELLED_ERRORS:
        return f"SageMaker.{other}"
    return f"SageMaker.{error.code.removesuffix('Exception')}Exception"


def _with_milliseconds(value: Any, shape: Shape | None) -> Any:
    """Return an answer with times as the optimized integration writes them: in milliseconds since 1970."""
    if isinstance(shape, StructureShape):
        return {key: _with_milliseconds(item, shape.members.get(key)) for key, item in value.items()}
    if isinstance(shape, ListShape):
        return [_with_milliseconds(item, shape.member) for item in value]
    if shape is not None and shape.type_name == "timestamp":
        return round(value * 1000)
    return value

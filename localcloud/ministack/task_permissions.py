"""Changes to MiniStack's Step Functions: what an execution calls, it calls as its state machine's role.

The errors are those of the integrations on AWS: an optimized one names the exception of the SDK for Java 1, with the
status and the code in the cause; an `aws-sdk` one that of the SDK for Java 2
(https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html).
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from ministack.core.responses import get_region
from ministack.services import stepfunctions

from localcloud.ministack import encrypted_topics
from localcloud.permissions.definitions import any_resource
from localcloud.permissions.roles import Check, Role, act_as, acting, first_refusal

_OPTIMIZED = "arn:aws:states:::"


@dataclass(frozen=True)
class _Integration:
    """An optimized integration of MiniStack's.

    Attributes:
        action: The action that the role needs.
        resource: Returns the ARN in a request.
        error: How a state machine names the refusal.
        service: The service in the cause, as the SDK for Java names it.
        code: The service's code.
    """

    action: str
    resource: Callable[[dict[str, Any]], str]
    error: str
    service: str
    code: str


def _queue_arn(request: dict[str, Any]) -> str:
    account, _, name = str(request.get("QueueUrl", "")).rpartition("/")
    return f"arn:aws:sqs:{get_region()}:{account.rpartition('/')[2]}:{name}"


def _topic_arn(request: dict[str, Any]) -> str:
    return str(request.get("TopicArn") or request.get("TargetArn") or "*")


_INTEGRATIONS = {
    f"{_OPTIMIZED}sns:publish": _Integration(
        "sns:Publish", _topic_arn, "SNS.AuthorizationErrorException", "AmazonSNS", "AuthorizationError"
    ),
    f"{_OPTIMIZED}sqs:sendMessage": _Integration(
        "sqs:SendMessage", _queue_arn, "SQS.AmazonSQSException", "AmazonSQS", "AccessDenied"
    ),
}


def apply() -> None:
    """Patch MiniStack."""
    _act_as_the_role()
    _check_functions()
    _check_integrations()


def _act_as_the_role() -> None:
    execute = stepfunctions._execute_task

    def execute_task(state: dict[str, Any], given: Any, execution: Any, context: dict[str, Any]) -> Any:
        machine = stepfunctions._state_machines.get(context["StateMachine"]["Id"])
        if machine is None:
            return execute(state, given, execution, context)
        session = str(context["Execution"].get("Name", ""))[:64]
        with act_as(Role(machine["roleArn"], session, get_region())):
            return execute(state, given, execution, context)

    stepfunctions._execute_task = execute_task


def _check_functions() -> None:
    call = stepfunctions._call_lambda

    def call_lambda(function: str, event: Any) -> Any:
        role = acting()
        if role is not None:
            name = function if function.startswith("arn:") else f"function:{function}"
            arn = name if name.startswith("arn:") else f"arn:aws:lambda:{role.region}:{role.account}:{name}"
            refused = first_refusal([Check("lambda:InvokeFunction", arn)])
            if refused is not None:
                _fail("Lambda.AWSLambdaException", refused[1], "AWSLambda", 403, "AccessDeniedException")
        return call(function, event)

    stepfunctions._call_lambda = call_lambda


def _check_integrations() -> None:
    for prefix, handler in list(stepfunctions._SERVICE_DISPATCH.items()):
        stepfunctions._SERVICE_DISPATCH[prefix] = _checked(prefix, handler)
    invoke = stepfunctions._invoke_aws_sdk_integration
    stepfunctions._invoke_aws_sdk_integration = _checked_sdk(invoke)


def _checked(prefix: str, handler: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Return the handler of an optimized integration, which first checks what the role may do."""

    def checked(resource: str, request: Any) -> Any:
        if acting() is None:
            return handler(resource, request)
        integration = _INTEGRATIONS.get(prefix)
        if integration is None:
            raise _unknown(prefix)
        arn = integration.resource(request)
        refused = first_refusal([Check(integration.action, arn)])
        if refused is not None:
            _fail(integration.error, refused[1], integration.service, 403, integration.code)
        refused = first_refusal(encrypted_topics.needs(arn))
        if refused is not None:
            _fail("SNS.KMSAccessDeniedException", refused[1], "AmazonSNS", 400, "KMSAccessDenied")
        return handler(resource, request)

    return checked


def _checked_sdk(invoke: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Return the handler of the `aws-sdk` integrations (SageMaker's are elsewhere), which first checks the role."""

    def checked(resource: str, request: Any) -> Any:
        role = acting()
        if role is None:
            return invoke(resource, request)
        service, action = resource.split(":")[6:8]
        name = f"{service}:{action[0].upper()}{action[1:]}"
        arn = any_resource(name, role.region, role.account)
        if arn is None:
            raise _unknown(resource)
        refused = first_refusal([Check(name, arn)])
        if refused is not None:
            title = service.capitalize()
            raise stepfunctions._ExecutionError(f"{title}.{title}Exception", refused[1])
        return invoke(resource, request)

    return checked


def _unknown(resource: str) -> Any:
    """Return the failure of a task whose permissions are unknown: to let it pass would be a promise."""
    return stepfunctions._ExecutionError(
        "States.Runtime", f"The local cloud does not know which permissions {resource} needs."
    )


def _fail(error: str, message: str, service: str, status: int, code: str) -> NoReturn:
    details = f"Service: {service}; Status Code: {status}; Error Code: {code}; Request ID: {uuid.uuid4()}"
    raise stepfunctions._ExecutionError(error, f"{message} ({details}; Proxy: null)")

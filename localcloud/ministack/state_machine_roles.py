"""Changes to MiniStack's Step Functions: a state machine is refused whose role lacks what the service itself needs.

As on AWS, the role must trust the service, be allowed to deliver the logs, and to manage the rule by which the service
waits for a job:
https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy
https://docs.aws.amazon.com/step-functions/latest/dg/service-integration-iam-templates.html#connect-iam-sync-async
"""

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.responses import error_response_json, get_region
from ministack.services import stepfunctions
from ministack.services.cloudformation import provisioners

from localcloud.permissions.roles import Check, Role

_SERVICE = "states.amazonaws.com"
_LOG_DELIVERY = (
    "CreateLogDelivery",
    "GetLogDelivery",
    "UpdateLogDelivery",
    "DeleteLogDelivery",
    "ListLogDeliveries",
    "PutResourcePolicy",
    "DescribeResourcePolicies",
    "DescribeLogGroups",
)
_MANAGED_RULE = ("PutTargets", "PutRule", "DescribeRule")
# The optimized integrations that wait for a job, and the managed rule of each.
_RULES = {
    "createTrainingJob": "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    "createTransformJob": "StepFunctionsGetEventsForSageMakerTransformJobsRule",
    "createHyperParameterTuningJob": "StepFunctionsGetEventsForSageMakerTuningJobsRule",
    "createProcessingJob": "StepFunctionsGetEventsForSageMakerProcessingJobsRule",
}
_WAITS = re.compile(r'"arn:aws[a-z-]*:states:::sagemaker:(\w+)\.sync"')


def apply() -> None:
    """Patch MiniStack."""
    for name in ("_create_state_machine", "_update_state_machine"):
        setattr(stepfunctions, name, _checked_call(getattr(stepfunctions, name)))
    handlers = provisioners._RESOURCE_HANDLERS["AWS::StepFunctions::StateMachine"]
    create = handlers["create"]

    def create_from_template(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        logging = properties.get("LoggingConfiguration") or {}
        definition = provisioners._sfn_definition(properties)
        problem = _problem(properties.get("RoleArn", ""), definition, logging.get("Destinations"))
        if problem is not None:
            # MiniStack writes the message of a ValueError into the stack's events.
            raise ValueError(f"{problem} (Service: AWSStepFunctions; Status Code: 400; {_details()})")
        return create(logical_id, properties, stack)

    handlers["create"] = create_from_template


def _checked_call(call: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def checked(data: dict[str, Any]) -> Any:
        existing = stepfunctions._state_machines.get(data.get("stateMachineArn", "")) or {}
        merged = {**existing, **data}
        logging = merged.get("loggingConfiguration") or {}
        problem = _problem(
            str(merged.get("roleArn", "")), str(merged.get("definition", "")), logging.get("destinations")
        )
        if problem is not None:
            return error_response_json("AccessDeniedException", problem, 400)
        return call(data)

    return checked


def _problem(role_arn: str, definition: str, destinations: Any) -> str | None:
    """Return why AWS refuses the state machine; None if it does not."""
    if not role_arn.startswith("arn:"):
        return None  # MiniStack says so
    role = Role(role_arn, "StepFunctions", get_region())
    if not role.trusts(_SERVICE):
        return (
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to "
            "assume the provided role."
        )
    for check in _rule_checks(definition, role):
        if role.refusal(check) is not None:
            return f"'{role_arn}' is not authorized to create managed-rule."
    delivery = [Check(f"logs:{name}", "*") for name in _LOG_DELIVERY] if destinations else []
    if any(role.refusal(check) is not None for check in delivery):
        return "The state machine IAM Role is not authorized to access the Log Destination"
    return None


def _rule_checks(definition: str, role: Role) -> Iterator[Check]:
    for name in sorted(set(_WAITS.findall(definition)) & set(_RULES)):
        arn = f"arn:aws:events:{role.region}:{role.account}:rule/{_RULES[name]}"
        for action in _MANAGED_RULE:
            yield Check(f"events:{action}", arn)


def _details() -> str:
    return f"Error Code: AccessDeniedException; Request ID: {uuid.uuid4()}; Proxy: null"

"""A stack cannot take the name of a resource that exists, as on AWS: MiniStack lets it overwrite most of them.

https://repost.aws/knowledge-center/cloudformation-stack-fail-name-exists
"""

import uuid
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import (
    cloudfront,
    cloudwatch,
    cloudwatch_logs,
    dynamodb,
    ecr,
    iam,
    lambda_svc,
    scheduler,
    sns,
    sqs,
    stepfunctions,
)
from ministack.services.cloudformation import stacks

_Properties = dict[str, Any]
# Whether a resource with these properties exists, by its name in them.
_Exists = Callable[[_Properties, str], bool]


def apply() -> None:
    """Patch MiniStack: the creation of a resource by a stack fails if its custom name is taken."""
    provision = stacks._provision_resource

    def provision_if_free(
        resource_type: str, logical_id: str, properties: _Properties, stack: str
    ) -> tuple[str, dict[str, Any]]:
        name = taken_name(resource_type, properties)
        if name is not None:
            # MiniStack writes the message of a ValueError into the stack's events.
            raise ValueError(
                f"Resource handler returned message: \"Resource of type '{resource_type}' with identifier "
                f"'{name}' already exists.\" (RequestToken: {uuid.uuid4()}, HandlerErrorCode: AlreadyExists)"
            )
        created: tuple[str, dict[str, Any]] = provision(resource_type, logical_id, properties, stack)
        return created

    stacks._provision_resource = provision_if_free


def taken_name(resource_type: str, properties: _Properties) -> str | None:
    """Return the custom name in the properties if another resource of the type has it."""
    if resource_type not in _NAMED:
        return None
    member, exists = _NAMED[resource_type]
    place, _, member = member.rpartition(".")
    name = (properties.get(place) or {} if place else properties).get(member)
    return name if isinstance(name, str) and exists(properties, name) else None


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{get_region()}:{get_account_id()}:{resource}"


def _has_name(store: Any) -> _Exists:
    """Look a name up among the records of a store that is kept by other keys."""
    return lambda properties, name: any(_name_of(record) == name for record in store.values())


def _name_of(record: dict[str, Any]) -> str | None:
    """Return the name in a record of CloudFront, which is in it or in its configuration."""
    if "Name" in record:
        return str(record["Name"])
    configs = [value for value in record.values() if isinstance(value, dict) and "Name" in value]
    return str(configs[0]["Name"]) if configs else None


# Type -> the property with the custom name, and how to look it up. Types that are not here refuse it by themselves, or
# have names of their own.
_NAMED: dict[str, tuple[str, _Exists]] = {
    "AWS::CloudFront::CachePolicy": ("CachePolicyConfig.Name", _has_name(cloudfront._cache_policies)),
    "AWS::CloudFront::OriginAccessControl": (
        "OriginAccessControlConfig.Name",
        _has_name(cloudfront._oacs),
    ),
    "AWS::CloudFront::OriginRequestPolicy": (
        "OriginRequestPolicyConfig.Name",
        _has_name(cloudfront._origin_request_policies),
    ),
    "AWS::CloudFront::ResponseHeadersPolicy": (
        "ResponseHeadersPolicyConfig.Name",
        _has_name(cloudfront._response_headers_policies),
    ),
    "AWS::CloudWatch::Alarm": ("AlarmName", lambda properties, name: name in cloudwatch._alarms),
    "AWS::CloudWatch::Dashboard": ("DashboardName", lambda properties, name: name in cloudwatch._dashboards),
    "AWS::DynamoDB::Table": ("TableName", lambda properties, name: name in dynamodb._tables),
    "AWS::ECR::Repository": ("RepositoryName", lambda properties, name: name in ecr._repositories),
    "AWS::IAM::Role": ("RoleName", lambda properties, name: name in iam._roles),
    "AWS::Lambda::Function": ("FunctionName", lambda properties, name: name in lambda_svc._functions),
    "AWS::Logs::LogGroup": ("LogGroupName", lambda properties, name: name in cloudwatch_logs._log_groups),
    "AWS::SNS::Topic": ("TopicName", lambda properties, name: _arn("sns", name) in sns._topics),
    "AWS::SQS::Queue": ("QueueName", lambda properties, name: name in sqs._queue_name_to_url),
    "AWS::Scheduler::Schedule": (
        "Name",
        lambda properties, name: f"{properties.get('GroupName', 'default')}/{name}" in scheduler._schedules,
    ),
    "AWS::StepFunctions::StateMachine": (
        "StateMachineName",
        lambda properties, name: _arn("states", f"stateMachine:{name}") in stepfunctions._state_machines,
    ),
}

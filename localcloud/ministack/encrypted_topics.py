"""Changes to MiniStack's SNS: whoever publishes to an encrypted topic needs the topic's key.

https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html

MiniStack's CloudFormation leaves the key out, and lets everybody publish to a topic without a policy of its own. On
AWS the default policy is for the account's services alone, so that a role needs the permission itself:
https://github.com/aws-ia/terraform-aws-control_tower_account_factory/issues/151
"""

import contextvars
import json
from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.iam_actions import identity_denial_message
from ministack.core.responses import get_account_id, get_region
from ministack.services import kms, sns
from ministack.services.cloudformation import provisioners

from localcloud.permissions.definitions import definition
from localcloud.permissions.roles import Check

_TYPE = "AWS::SNS::Topic"
_DEFAULT_STATEMENT = "__default_statement_ID"

# Why the caller of the current request may not use the key of the topic that it publishes to.
_refused: contextvars.ContextVar[str | None] = contextvars.ContextVar("refused", default=None)


def apply() -> None:
    """Patch MiniStack."""
    publish = sns._publish

    def publish_with_key(parameters: Any) -> Any:
        message = _refused.get()
        if message is not None:
            return sns._error("KMSAccessDenied", message, 400)
        return publish(parameters)

    sns._publish = publish_with_key
    handler = provisioners._RESOURCE_HANDLERS[_TYPE]
    provisioners._RESOURCE_HANDLERS[_TYPE] = handler | {
        "create": _protecting(handler["create"], properties_at=1),
        "update": _protecting(handler["update"], properties_at=2),
    }


def _protecting(provision: Callable[..., Any], properties_at: int) -> Callable[..., Any]:
    """Return a provisioner that also stores a topic's key; `properties_at` is the place of the new properties."""

    def provision_and_protect(*arguments: Any, **options: Any) -> Any:
        answer = provision(*arguments, **options)
        attributes = sns._topics[answer[0]]["attributes"]
        attributes["KmsMasterKeyId"] = arguments[properties_at].get("KmsMasterKeyId", "")
        policy = json.loads(attributes["Policy"])
        for statement in policy["Statement"]:
            if statement.get("Sid") == _DEFAULT_STATEMENT:
                statement["Condition"] = {"StringEquals": {"AWS:SourceOwner": get_account_id()}}
        attributes["Policy"] = json.dumps(policy)
        return answer

    return provision_and_protect


def check_key(topic_arn: str, denied: Callable[[Check], Any]) -> None:
    """Let the publishing of the current request fail if its caller may not use the topic's key.

    Args:
        topic_arn: The topic.
        denied: Returns MiniStack's reason why the caller may not do something; None if it may.
    """
    _refused.set(None)
    for check in needs(topic_arn):
        reason = denied(check)
        if reason is not None:
            message = identity_denial_message(
                check.action, getattr(reason, "principal_arn", ""), check.resource, False
            )
            _refused.set(message)
            return


def needs(topic_arn: str) -> list[Check]:
    """Return what publishing to a topic needs besides sns:Publish."""
    key = _key_arn(topic_arn)
    if key is None:
        return []
    context = {"kms:ViaService": f"sns.{get_region()}.amazonaws.com", "kms:CallerAccount": get_account_id()}
    return [
        Check(need.action, key, context) for need in definition("sns:Publish").needs if need.on == "topic-key"
    ]


def service_may_use_key(topic_arn: str, service: str, source_arn: str) -> bool:
    """Return whether the policy of a topic's key lets a service publish to it; also if it has no key.

    Args:
        topic_arn: The topic.
        service: The service's principal, such as "cloudwatch.amazonaws.com".
        source_arn: The resource that the service publishes for.
    """
    for check in needs(topic_arn):
        context = iam_evaluator.EvalContext(
            principal_arn="*",
            principal_type="Service",
            principal_account="",
            action=check.action,
            resource_arn=check.resource,
            region=get_region(),
            service_context={"aws:sourceaccount": get_account_id(), "aws:sourcearn": source_arn},
        )
        policy = (kms._resolve_key(check.resource) or {}).get("Policy")
        if iam_evaluator.evaluate_resource_policy(policy, context, service=service).decision != "Allow":
            return False
    return True


def _key_arn(topic_arn: str) -> str | None:
    """Return the ARN of the key that encrypts a topic; None if none does."""
    topic = sns._topics.get(topic_arn)
    key = (topic or {}).get("attributes", {}).get("KmsMasterKeyId")
    if not key:
        return None
    record = kms._resolve_key(key)
    return str(record["Arn"]) if record else f"arn:aws:kms:{get_region()}:{get_account_id()}:key/{key}"

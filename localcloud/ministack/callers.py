"""Changes to MiniStack's IAM: what signed requests were allowed is recorded, and some context is given to policies.

MiniStack's rules are AWS's: `StringLike`, `StringEquals` and the ARN operators are case-sensitive, a Deny wins, and
NotAction, NotResource, permissions boundaries and resource policies count (tests/unit/localcloud/test_policies.py).
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id

from localcloud.ministack import encrypted_topics
from localcloud.permissions import recorder

_Denied = Any  # None, or MiniStack's reason
# No policy can name the batch operations of SQS:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api-actions.html
_SINGLE = {f"{name}Batch": name for name in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")}


def apply() -> None:
    """Patch MiniStack."""
    _record_decisions()
    _give_the_namespace_of_metrics()
    _take_the_permission_of_one_message_for_several()
    encrypted_topics.apply()


def _record_decisions() -> None:
    enforce = iam_evaluator.enforce

    def enforce_and_record(
        access_key: str, action: str, service: str, region: str, resource_arn: str = "*", **options: Any
    ) -> _Denied:
        denied = enforce(access_key, action, service, region, resource_arn=resource_arn, **options)
        if recorder.is_on() and not isinstance(denied, iam_evaluator.AuthError):
            context = options.get("service_context") or {}
            _record(access_key, action, region, resource_arn, context, denied is None)
        if denied is None and action == "sns:Publish":
            encrypted_topics.check_key(
                resource_arn,
                lambda check: enforce_and_record(
                    access_key,
                    check.action,
                    "kms",
                    region,
                    resource_arn=check.resource,
                    service_context=dict(check.context),
                ),
            )
        return denied

    iam_evaluator.enforce = enforce_and_record


def _record(
    access_key: str, action: str, region: str, resource: str, context: dict[str, Any], is_allowed: bool
) -> None:
    principal = iam_evaluator.resolve_principal(access_key or "", get_account_id())
    if isinstance(principal, iam_evaluator.AuthError) or principal.policies is None:
        return
    keys = {key.lower(): value for key, value in context.items()}
    keys.setdefault("aws:tagkeys", None)
    evaluated = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=resource,
        region=region,
        service_context=keys,
        principal_keys=principal.keys,
    )
    recorder.record(evaluated, principal.policies, is_allowed)


def _give_the_namespace_of_metrics() -> None:
    """Let policies compare cloudwatch:namespace, which MiniStack does not give them, so that they would match nothing.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/iam-cw-condition-keys-namespace.html
    """
    tags = iam_actions.request_tag_context

    def tags_and_namespace(service: str, action: str, body: bytes, parameters: Any) -> dict[str, Any]:
        context: dict[str, Any] = tags(service, action, body, parameters)
        if action == "cloudwatch:PutMetricData" and (namespace := _namespace(body, parameters)):
            context["cloudwatch:namespace"] = namespace
        return context

    iam_actions.request_tag_context = tags_and_namespace


def _take_the_permission_of_one_message_for_several() -> None:
    for name in ("_action_from_query", "_action_from_target"):
        action_of = getattr(iam_actions, name)

        def single_action_of(*request: Any, action_of: Callable[..., str | None] = action_of) -> str | None:
            action = action_of(*request)
            return _SINGLE.get(action or "", action)

        setattr(iam_actions, name, single_action_of)


def _namespace(body: bytes, parameters: Any) -> str | None:
    """Return the Namespace of a request in any protocol that SDKs speak to CloudWatch."""
    found = (parameters or {}).get("Namespace") or parse_qs(body.decode("latin-1")).get("Namespace")
    if found:
        return str(found[0] if isinstance(found, list) else found)
    return str(iam_actions._safe_json_field(body, "Namespace")) or None

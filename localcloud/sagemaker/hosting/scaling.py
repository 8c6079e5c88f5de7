"""Application Auto Scaling of endpoints: targets and policies with their alarms; a laptop scales nothing.

https://docs.aws.amazon.com/autoscaling/application/APIReference/Welcome.html
https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
"""

import time
import uuid
from collections.abc import Callable
from typing import Any

from localcloud.sagemaker.aws_errors import AwsError, invalid
from localcloud.sagemaker.hosting import tracking_alarms
from localcloud.sagemaker.resources import Resources
from localcloud.sagemaker.services import Alarms
from localcloud.sagemaker.store import Record
from localcloud.sagemaker.validation import validate

SERVICE = "application-autoscaling"
_NAMESPACE, _DIMENSION = "sagemaker", "sagemaker:variant:DesiredInstanceCount"
_TARGET, _POLICY = "ScalableTarget", "ScalingPolicy"
_PAGE_SIZE = 50
_ACTIVE = {"DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False}
_NOT_SUSPENDED = _ACTIVE | {"ScheduledScalingSuspended": False}


def resource_id(endpoint: str, variant: str) -> str:
    """Return the ResourceId of a variant."""
    return f"endpoint/{endpoint}/variant/{variant}"


class Scaling:
    """The scalable targets of endpoints, and their policies."""

    def __init__(self, resources: Resources, alarms: Alarms) -> None:
        """Initialize the operations.

        Args:
            resources: The records of every kind.
            alarms: The account's CloudWatch alarms; target tracking has some of its own.
        """
        self._store, self._alarms = resources.store, alarms
        self._region, self._account = resources.region, resources.account
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "RegisterScalableTarget": self._register,
            "DescribeScalableTargets": self._describe_targets,
            "DeregisterScalableTarget": self._deregister,
            "PutScalingPolicy": self._put_policy,
            "DescribeScalingPolicies": self._describe_policies,
            "DeleteScalingPolicy": self._delete_policy,
            # A laptop scales nothing, so that nothing has ever happened.
            "DescribeScalingActivities": lambda request: {"ScalingActivities": []},
        }

    def call(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Call an operation.

        Args:
            name: The operation.
            request: Its parameters.

        Returns:
            Its answer.

        Raises:
            AwsError: If the operation is another, or the request is not valid, or the variant or its registration
                does not exist.
        """
        if name not in self._operations:
            raise AwsError(
                "UnknownOperationException",
                f"The local cloud does not have {SERVICE}:{name}. What works: RegisterScalableTarget and "
                "PutScalingPolicy of SageMaker's variants, whose alarms are real, although a laptop scales nothing.",
            )
        validate(name, request, SERVICE)
        return self._operations[name](request)

    def resource(self, operation: str, request: dict[str, Any]) -> str:
        """Return the ARN that policies are compared with.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsapplicationautoscaling.html
        """
        if operation.startswith("Describe"):
            return "*"
        target = self._store.get(_TARGET, str(request.get("ResourceId")))
        return str(target["ScalableTargetARN"]) if target else self._target_arn("new")

    def targets(self, endpoint: str) -> list[str]:
        """Return the ARNs of an endpoint's scalable targets.

        Whoever deletes the endpoint deregisters them, and must be allowed to
        (https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-delete-with-scaling.html).
        """
        return [str(target["ScalableTargetARN"]) for target in self._targets_of(endpoint)]

    def check_update(self, endpoint: str, running: dict[str, Any], new: dict[str, Any]) -> None:
        """Check that an update leaves the scalable variants and their instance type.

        https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html

        Args:
            endpoint: The endpoint's name.
            running: The plan in service.
            new: The plan to serve.

        Raises:
            AwsError: ValidationException, if a scalable variant is removed or gets another instance type.
        """
        same = (running["variant"], running["instance_type"]) == (new["variant"], new["instance_type"])
        if not same and self._store.get(_TARGET, resource_id(endpoint, running["variant"])) is not None:
            raise invalid(
                f'The variant(s) "[{running["variant"]}]" must be deregistered as scalable targets with AWS Auto '
                "Scaling before they can be removed or have their instance type updated."
            )

    def forget(self, endpoint: str) -> None:
        """Deregister every variant of an endpoint that is deleted."""
        for target in self._targets_of(endpoint):
            self._remove(target["ResourceId"])

    def _targets_of(self, endpoint: str) -> list[Record]:
        prefix = resource_id(endpoint, "")
        return [target for target in self._store.all(_TARGET) if target["ResourceId"].startswith(prefix)]

    def _register(self, request: dict[str, Any]) -> dict[str, Any]:
        self._check_variant(request)
        name = request["ResourceId"]
        existing = self._store.get(_TARGET, name)
        target = {
            "CreationTime": time.time(),
            "SuspendedState": _NOT_SUSPENDED,
            "RoleARN": self._service_linked_role(),
            "ScalableTargetARN": self._target_arn(uuid.uuid4().hex),
            **(existing or {}),
            # A role in the request is ignored, since SageMaker has a service-linked one.
            **{key: value for key, value in request.items() if key not in ("RoleARN", "Tags")},
        }
        if missing := [member for member in ("MinCapacity", "MaxCapacity") if member not in target]:
            raise invalid(f"{' and '.join(missing)} must be specified to register a new scalable target.")
        if target["MaxCapacity"] < target["MinCapacity"]:
            raise invalid("Maximum capacity cannot be less than minimum capacity")
        self._store.put(_TARGET, name, target)
        return {"ScalableTargetARN": target["ScalableTargetARN"]}

    def _check_variant(self, request: dict[str, Any]) -> None:
        """Check that there is such a variant. Raises AwsError."""
        if (request["ServiceNamespace"], request["ScalableDimension"]) != (_NAMESPACE, _DIMENSION):
            raise invalid("The local cloud scales the instance count of SageMaker's variants only.")
        parts = request["ResourceId"].split("/")
        endpoint = self._store.get("Endpoint", parts[1]) if len(parts) == 4 else None
        if (
            endpoint is None
            or request["ResourceId"] != resource_id(parts[1], endpoint["plan"]["variant"])
            or endpoint["EndpointStatus"] in ("Creating", "Deleting", "Failed")
        ):
            raise invalid(
                f"SageMaker endpoint variant does not exist or is not in service: {request['ResourceId']}"
            )

    def _describe_targets(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request.get("ResourceIds")
        targets = [
            target
            for target in self._store.all(_TARGET)
            if _matches(target, request) and (not wanted or target["ResourceId"] in wanted)
        ]
        return _page("ScalableTargets", targets, request)

    def _deregister(self, request: dict[str, Any]) -> dict[str, Any]:
        self._check_registered(request)
        self._remove(request["ResourceId"])
        return {}

    def _remove(self, name: str) -> None:
        """Remove a target with its policies and their alarms, as AWS does."""
        for policy in self._store.all(_POLICY):
            if policy["ResourceId"] == name:
                self._remove_policy(policy)
        self._store.delete(_TARGET, name)

    def _check_registered(self, request: dict[str, Any]) -> None:
        if self._store.get(_TARGET, request["ResourceId"]) is None or not _matches(
            {"ServiceNamespace": _NAMESPACE, "ScalableDimension": _DIMENSION}, request
        ):
            raise AwsError(
                "ObjectNotFoundException", f"No scalable target registered for {_described(request)}"
            )

    def _put_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        self._check_registered(request)
        key = _policy_key(request)
        existing = self._store.get(_POLICY, key) or {}
        kind = request.get("PolicyType", existing.get("PolicyType", "StepScaling"))
        if kind == "TargetTrackingScaling" and "TargetTrackingScalingPolicyConfiguration" not in request:
            raise invalid("TargetTrackingScalingPolicyConfiguration must be specified for target tracking.")
        arn = existing.get("PolicyARN") or (
            f"arn:aws:autoscaling:{self._region}:{self._account}:scalingPolicy:{uuid.uuid4()}:"
            f"resource/{_NAMESPACE}/{request['ResourceId']}:policyName/{request['PolicyName']}"
        )
        policy = {"CreationTime": time.time(), **existing, **request, "PolicyType": kind, "PolicyARN": arn}
        self._alarms.delete([alarm["AlarmName"] for alarm in existing.get("Alarms", [])])
        alarms = tracking_alarms.alarms_of(policy) if kind == "TargetTrackingScaling" else []
        for alarm in alarms:
            self._alarms.put(alarm)
        policy["Alarms"] = [
            {
                "AlarmName": alarm["AlarmName"],
                "AlarmARN": f"arn:aws:cloudwatch:{self._region}:{self._account}:alarm:{alarm['AlarmName']}",
            }
            for alarm in alarms
        ]
        self._store.put(_POLICY, key, policy)
        return {"PolicyARN": arn, "Alarms": policy["Alarms"]}

    def _describe_policies(self, request: dict[str, Any]) -> dict[str, Any]:
        names = request.get("PolicyNames")
        policies = [
            policy
            for policy in self._store.all(_POLICY)
            if _matches(policy, request)
            and request.get("ResourceId") in (None, policy["ResourceId"])
            and (not names or policy["PolicyName"] in names)
        ]
        return _page("ScalingPolicies", policies, request)

    def _delete_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        policy = self._store.get(_POLICY, _policy_key(request))
        if policy is None or not _matches(policy, request):
            raise AwsError("ObjectNotFoundException", f"No scaling policy found for {_described(request)}")
        self._remove_policy(policy)
        return {}

    def _remove_policy(self, policy: Record) -> None:
        self._alarms.delete([alarm["AlarmName"] for alarm in policy["Alarms"]])
        self._store.delete(_POLICY, _policy_key(policy))

    def _target_arn(self, target_id: str) -> str:
        return f"arn:aws:{SERVICE}:{self._region}:{self._account}:scalable-target/{target_id}"

    def _service_linked_role(self) -> str:
        return (
            f"arn:aws:iam::{self._account}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
            "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
        )


def _policy_key(request: dict[str, Any]) -> str:
    return f"{request['ResourceId']}/{request['PolicyName']}"


def _matches(record: Record, request: dict[str, Any]) -> bool:
    return record["ServiceNamespace"] == request["ServiceNamespace"] and request.get("ScalableDimension") in (
        None,
        record["ScalableDimension"],
    )


def _described(request: dict[str, Any]) -> str:
    policy = f", policy name: {request['PolicyName']}" if "PolicyName" in request else ""
    return (
        f"service namespace: {request['ServiceNamespace']}, resource ID: {request['ResourceId']}, "
        f"scalable dimension: {request['ScalableDimension']}{policy}"
    )


def _page(member: str, records: list[Record], request: dict[str, Any]) -> dict[str, Any]:
    token = request.get("NextToken", "0")
    if not token.isdecimal():
        raise AwsError("InvalidNextTokenException", "The NextToken is not valid.")
    start = int(token)
    end = start + request.get("MaxResults", _PAGE_SIZE)
    return {member: records[start:end]} | ({"NextToken": str(end)} if end < len(records) else {})

"""What a request to SageMaker, its autoscaling or its quotas must be allowed to, besides the operation itself.

Most comes from the tables in localcloud/permissions; this module finds in a request what they are about: the roles
that it passes, the images and objects that it names, the endpoint that it scales.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from localcloud.permissions.definitions import definition
from localcloud.permissions.linked_roles import LinkedRole
from localcloud.permissions.roles import Check
from localcloud.sagemaker import service_quotas
from localcloud.sagemaker.api import SageMaker
from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.hosting import scaling
from localcloud.sagemaker.storage import StorageError, split

SAGEMAKER, SCALING = "sagemaker", scaling.SERVICE
_PRINCIPAL = "sagemaker.amazonaws.com"
_SCALING_ROLE = LinkedRole(
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
    "sagemaker.application-autoscaling.amazonaws.com",
)
# [ACCOUNT.dkr.ecr.REGION.amazonaws.com/]REPOSITORY[:TAG][@DIGEST]
_IMAGE = re.compile(
    r"((?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/)?"
    r"(?P<repository>[a-z0-9][a-z0-9._/-]*?)(:[\w.-]+)?(@sha256:[0-9a-f]+)?"
)
# https://github.com/awslabs/stable-diffusion-aws-extension/issues/161
_SCALED = (
    "An Application AutoScaling scalable target exists for a variant being deleted, and the IAM identity used to "
    "invoke DeleteEndpoint does not have application-autoscaling:DeregisterScalableTarget permission to deregister "
    "the scalable target."
)

Request = dict[str, Any]

# What is scaled of an endpoint: how many instances a variant has.
_VARIANT: Request = {
    "ServiceNamespace": SAGEMAKER,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


class Authorization:
    """Checks every permission that a request needs."""

    def __init__(self, sagemaker: SageMaker, region: str, account: str) -> None:
        """Initialize.

        Args:
            sagemaker: It knows what the resources in a request are.
            region: The region in ARNs.
            account: The account in ARNs.
        """
        self._sagemaker, self._region, self._account = sagemaker, region, account
        self._resource: dict[str, Callable[[str, Request], str]] = {
            SAGEMAKER: sagemaker.resource,
            SCALING: sagemaker.scaling.resource,
            service_quotas.IAM_PREFIX: sagemaker.service_quotas.resource,
        }
        self._on: dict[str, Callable[[Request], Iterator[Check]]] = {
            "images": self._images,
            "objects": self._objects,
            "rollback-alarms": self._rollback_alarms,
            "scalable-target": self._scalable_targets,
            "endpoint": self._scaled_endpoint,
            "endpoint-config": self._scaled_config,
            "missing-linked-role": self._missing_linked_role,
            "scaling-alarms": self._scaling_alarms,
            "any-alarm": lambda request: iter([Check("", self._arn("cloudwatch", "alarm:*"))]),
        }

    def authorize(
        self, service: str, operation: str, request: Request, refusal: Callable[[Check], str | None]
    ) -> None:
        """Check a request.

        Args:
            service: "sagemaker", "application-autoscaling" or "servicequotas".
            operation: The operation.
            request: Its parameters.
            refusal: Returns IAM's message if the caller may not do something.

        Raises:
            AwsError: AccessDeniedException, if something that the request needs is not allowed.
        """
        checks = list(self.checks(service, operation, request))
        for check in checks:
            message = refusal(check)
            if message is not None:
                status = 403 if operation == "InvokeEndpoint" else 400
                raise AwsError("AccessDeniedException", message, status=status)
        if any(check.action == "iam:CreateServiceLinkedRole" for check in checks):
            _SCALING_ROLE.create(self._account)

    def checks(self, service: str, operation: str, request: Request) -> Iterator[Check]:
        """Yield everything that must be allowed, first the operation itself."""
        action = f"{service}:{operation}"
        known = definition(action)
        context = _scaling(request) if service == SCALING else {}
        primary = Check(action, self._resource[service](operation, request), context)
        yield primary
        for kind in known.required:
            name = request.get("".join(part.capitalize() for part in kind.split("-")) + "Name")
            # "You must have permission to use the action with each required resource", so UpdateEndpoint is checked on
            # the configuration, too (https://github.com/aws-controllers-k8s/community/issues/1889).
            if isinstance(name, str) and (arn := self._named(kind, name)) != primary.resource:
                yield Check(action, arn)
        if "iam:PassRole" in known.dependent:
            for role in _values(request, "RoleArn", "ExecutionRoleArn"):
                yield Check("iam:PassRole", role, {"iam:PassedToService": _PRINCIPAL})
        if request.get("Tags") and f"{SAGEMAKER}:AddTags" in known.dependent:
            keys = [tag["Key"] for tag in request["Tags"]]
            yield Check(f"{SAGEMAKER}:AddTags", primary.resource, {"aws:TagKeys": keys})
        for need in known.needs:
            for found in self._on[need.on](request):
                yield Check(need.action, found.resource, found.context, found.refusal)

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self._region}:{self._account}:{resource}"

    def _named(self, kind: str, name: str) -> str:
        """Return the ARN of a resource of SageMaker that a request gives by its name or its ARN."""
        return name if name.startswith("arn:") else self._arn(SAGEMAKER, f"{kind}/{name.lower()}")

    def _images(self, request: Request) -> Iterator[Check]:
        for image in _values(request, "Image"):
            match = _IMAGE.fullmatch(image)
            if match is not None:
                # Only the local cloud takes a name without a registry; template.yaml calls its repository "none".
                repository = match["repository"] if match["account"] else "none"
                region, account = match["region"] or self._region, match["account"] or self._account
                yield Check("", f"arn:aws:ecr:{region}:{account}:repository/{repository}")

    def _objects(self, request: Request) -> Iterator[Check]:
        for uri in _values(request, "ModelDataUrl", "S3Uri"):
            try:
                bucket, key = split(uri)
            except StorageError:
                continue  # the operation says what is wrong with it
            yield Check("", f"arn:aws:s3:::{bucket}/{key}")

    def _rollback_alarms(self, request: Request) -> Iterator[Check]:
        deployment = request.get("DeploymentConfig") or {}
        if (deployment.get("AutoRollbackConfiguration") or {}).get("Alarms"):
            yield Check("", self._arn("cloudwatch", "alarm:*"))

    def _scalable_targets(self, request: Request) -> Iterator[Check]:
        for target in self._sagemaker.scaling.targets(str(request.get("EndpointName"))):
            yield Check("", target, _scaling(_VARIANT), _SCALED)

    def _scaled_endpoint(self, request: Request) -> Iterator[Check]:
        if name := _endpoint(request):
            yield Check("", self._sagemaker.arn("Endpoint", name))

    def _scaled_config(self, request: Request) -> Iterator[Check]:
        try:
            endpoint = self._sagemaker.call("DescribeEndpoint", {"EndpointName": _endpoint(request)})
        except AwsError:
            return  # the operation says that there is no such endpoint
        yield Check("", self._sagemaker.arn("EndpointConfig", endpoint["EndpointConfigName"]))

    def _missing_linked_role(self, request: Request) -> Iterator[Check]:
        if not _SCALING_ROLE.exists(self._account):
            yield Check("", _SCALING_ROLE.arn(self._account), {"iam:AWSServiceName": _SCALING_ROLE.service})

    def _scaling_alarms(self, request: Request) -> Iterator[Check]:
        # Target tracking's alarms are named so, with an ID at the end
        # (https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html).
        for side in ("AlarmHigh", "AlarmLow"):
            yield Check(
                "", self._arn("cloudwatch", f"alarm:TargetTracking-{request.get('ResourceId')}-{side}-new")
            )


def _scaling(request: Request) -> dict[str, str]:
    """Return the condition keys of a request to Application Auto Scaling."""
    keys = {"ServiceNamespace": "service-namespace", "ScalableDimension": "scalable-dimension"}
    return {f"{SCALING}:{key}": request[member] for member, key in keys.items() if member in request}


def _endpoint(request: Request) -> str:
    """Return the endpoint in a ResourceId such as "endpoint/NAME/variant/VARIANT"."""
    parts = str(request.get("ResourceId", "")).split("/")
    return parts[1] if len(parts) > 1 else ""


def _values(value: Any, *members: str) -> Iterator[str]:
    """Yield the texts of all members of these names, at any depth of a request, each once."""
    yield from dict.fromkeys(_all_values(value, members))


def _all_values(value: Any, members: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in members and isinstance(item, str):
                yield item
            else:
                yield from _all_values(item, members)
    elif isinstance(value, list):
        for item in value:
            yield from _all_values(item, members)

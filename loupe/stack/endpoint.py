"""The stack's endpoint: what it serves, and how it switches to another model."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from loupe.errors import LoupeError
from loupe.stack import limits, scaling
from loupe.stack.target import Target

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

_Description = TypeVar("_Description")

TIMEOUT_SECONDS = 1800.0
# SageMaker's limit for the names of models and endpoint configurations.
_NAME_LIMIT = 63
# Only in these states does an endpoint answer.
_SERVING = ("InService", "Updating", "RollingBack", "SystemUpdating")
_IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
# A canary, with its waits, takes at most five hours.
_SWAP_SECONDS = 18_000.0
# SageMaker's error codes for an unknown name; which one it is depends on the operation.
_NOT_FOUND = ("ValidationException", "ResourceNotFound")


@dataclass(frozen=True)
class ServingModel:
    """A SageMaker model that answers now.

    Attributes:
        model: The answer of DescribeModel.
        share: Its share of the images, 0..1, as SageMaker reports the weights during a swap.
    """

    model: dict[str, Any]
    share: float

    @property
    def name(self) -> str:
        """SageMaker's name of the model."""
        return str(self.model["ModelName"])

    @property
    def container(self) -> dict[str, Any]:
        """The model's container, which may also be the only one in a list."""
        return _container(self.model)


def _container(model: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = model.get("PrimaryContainer") or model["Containers"][0]
    return container


@dataclass(frozen=True)
class EndpointDescription:
    """What the endpoint serves, as SageMaker describes it.

    Attributes:
        endpoint: The answer of DescribeEndpoint.
        config: The answer of DescribeEndpointConfig.
        model: The answer of DescribeModel.
        next_model: The same of the model that is about to replace it; None unless a swap is in progress.
    """

    endpoint: dict[str, Any]
    config: dict[str, Any]
    model: dict[str, Any]
    next_model: dict[str, Any] | None = None

    @property
    def status(self) -> str:
        """SageMaker's status, such as InService."""
        return str(self.endpoint["EndpointStatus"])

    @property
    def model_name(self) -> str:
        """The name of the SageMaker model."""
        return str(self.model["ModelName"])

    @property
    def container(self) -> dict[str, Any]:
        """The model's container, which may also be the only one in a list."""
        return _container(self.model)

    @property
    def serving(self) -> list[ServingModel]:
        """The models that answer now: two during a swap, none if the endpoint does not answer."""
        if self.status not in _SERVING:
            return []
        weight = _weight(self.endpoint, 1.0)
        next_weight = _weight(self.endpoint.get("PendingDeploymentSummary"), 0.0) if self.next_model else 0.0
        share = next_weight / (weight + next_weight) if next_weight else 0.0
        models = [(self.model, 1 - share), (self.next_model, share)]
        return [ServingModel(model, share) for model, share in models if model is not None and share > 0]


def _weight(description: dict[str, Any] | None, default: float) -> float:
    variants = (description or {}).get("ProductionVariants") or [{}]
    return float(variants[0].get("CurrentWeight", default))


def describe(target: Target) -> EndpointDescription | None:
    """Return what the endpoint serves; None if there is no endpoint."""
    endpoint = _describe_endpoint(target)
    if endpoint is None:
        return None
    config, model = _describe_config(target, endpoint["EndpointConfigName"])
    pending = endpoint.get("PendingDeploymentSummary")
    next_model = _describe_config(target, pending["EndpointConfigName"])[1] if pending else None
    return EndpointDescription(dict(endpoint), config, model, next_model)


def _describe_config(target: Target, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an endpoint configuration and its model."""
    config = target.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    model = target.sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    return dict(config), dict(model)


def exists(target: Target) -> bool:
    """Return whether the stack has an endpoint, in service or not."""
    return _describe_endpoint(target) is not None


def describe_or_none(describe: Callable[[], _Description]) -> _Description | None:
    """Return SageMaker's description of a resource; None if there is no resource of that name."""
    try:
        return describe()
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_FOUND:
            return None
        raise


def model_name(target: Target, digest: str) -> str:
    """Return the name for a SageMaker model of this stack: the endpoint's name and a hash."""
    return f"{target.output('EndpointName')}-{digest}"[-_NAME_LIMIT:].lstrip("-")


def switch(
    target: Target,
    model: str,
    config_request: dict[str, Any],
    on_status: Callable[[str], None],
    timeout_s: float = TIMEOUT_SECONDS,
    keep_instance_count: bool = False,
) -> None:
    """Make the endpoint serve a SageMaker model, and wait until it does.

    Args:
        target: The stack.
        model: The name of the SageMaker model.
        config_request: A CreateEndpointConfig request without its name and the model's.
        on_status: Receives a text for each status on the way.
        timeout_s: How long to wait.
        keep_instance_count: Keep the current number of instances, which autoscaling may have changed.

    Raises:
        LoupeError: The endpoint did not come into service with this model, or is not scaled.
    """
    variant = {**config_request["ProductionVariants"][0], "ModelName": model}
    request = {**config_request, "ProductionVariants": [variant]}
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:6]
    config = f"{model[: _NAME_LIMIT - 7]}-{digest}"
    if not describe_or_none(lambda: target.sagemaker.describe_endpoint_config(EndpointConfigName=config)):
        target.sagemaker.create_endpoint_config(EndpointConfigName=config, **request)
    former = _variant(target)
    # SageMaker refuses another instance type while autoscaling is registered.
    # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html
    if former and (former["VariantName"], former.get("InstanceType")) != (
        variant["VariantName"],
        variant.get("InstanceType"),
    ):
        scaling.deregister(target, former["VariantName"])
    try:
        _create_or_update(target, config, keep_instance_count)
        _wait_until_in_service(target, config, on_status, timeout_s)
    except BaseException:
        _scale_former(target, former)
        raise
    on_status("registering autoscaling")
    scale(target, variant["VariantName"])


def scale(target: Target, variant: str) -> None:
    """Register the autoscaling of the endpoint, as the stack's outputs say; a second time changes nothing.

    Raises:
        LoupeError: It cannot be registered; the endpoint serves all the same.
    """
    try:
        scaling.register(target, variant)
    except ClientError as error:
        raise LoupeError(
            f"the endpoint serves, but its autoscaling could not be registered: {error}",
            "Allow application-autoscaling:RegisterScalableTarget and PutScalingPolicy, and deploy again.",
        ) from error


def _scale_former(target: Target, former: dict[str, Any] | None) -> None:
    """Scale again what an update has left in service; why it failed is more important than whether this works."""
    if former is None:
        return
    with suppress(ClientError):
        endpoint = _describe_endpoint(target)
        if endpoint and endpoint["EndpointStatus"] == "InService":
            scaling.register(target, former["VariantName"])


def _variant(target: Target) -> dict[str, Any] | None:
    """Return the variant of the endpoint's configuration; None if there is no endpoint."""
    endpoint = _describe_endpoint(target)
    if endpoint is None:
        return None
    config = target.sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    return dict(config["ProductionVariants"][0])


def switch_model(
    target: Target,
    current: EndpointDescription,
    model: str,
    on_status: Callable[[str], None],
    timeout_s: float = TIMEOUT_SECONDS,
) -> None:
    """Make the endpoint serve another SageMaker model on the instances that it has now.

    Raises:
        LoupeError: The endpoint did not come into service with this model.
    """
    request = copy_request(target, "CreateEndpointConfig", current.config)
    del request["EndpointConfigName"]
    request.pop("ShadowProductionVariants", None)
    switch(target, model, request, on_status, timeout_s, keep_instance_count=True)


def wait_until_settled(target: Target, on_status: Callable[[str], None]) -> None:
    """Wait until the endpoint is neither created nor updated nor deleted; there may be none.

    Raises:
        LoupeError: It takes longer than a swap may take.
    """
    deadline = time.monotonic() + _SWAP_SECONDS
    while time.monotonic() < deadline:
        endpoint = _describe_endpoint(target)
        if endpoint is None or endpoint["EndpointStatus"] not in _IN_PROGRESS:
            return
        on_status(f"endpoint {endpoint['EndpointName']}: {endpoint['EndpointStatus']}")
        time.sleep(0.2 if target.local_cloud else 10)
    raise LoupeError("the endpoint is still changing", "It goes on by itself. Repeat the command later.")


def copy_request(target: Target, operation: str, description: dict[str, Any]) -> dict[str, Any]:
    """Return a request that creates the described resource again; empty members are left out.

    Args:
        target: The stack.
        operation: The operation that creates it, such as CreateModel.
        description: What SageMaker's Describe operation answered.
    """
    shape = target.sagemaker.meta.service_model.operation_model(operation).input_shape
    members: Any = shape.members if shape else {}
    return {name: description[name] for name in members if description.get(name)}


def _describe_endpoint(target: Target) -> DescribeEndpointOutputTypeDef | None:
    name = target.output("EndpointName")
    return describe_or_none(lambda: target.sagemaker.describe_endpoint(EndpointName=name))


def _create_or_update(target: Target, config: str, keep_instance_count: bool) -> None:
    name, endpoint = target.output("EndpointName"), _describe_endpoint(target)
    # SageMaker does not update a failed endpoint.
    if endpoint and endpoint["EndpointStatus"] == "Failed":
        target.sagemaker.delete_endpoint(EndpointName=name)
        while endpoint := _describe_endpoint(target):
            time.sleep(0.5)
    with limits.explained():
        if endpoint is None:
            target.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        elif endpoint["EndpointConfigName"] != config:
            target.sagemaker.update_endpoint(
                EndpointName=name, EndpointConfigName=config, RetainAllVariantProperties=keep_instance_count
            )


def _wait_until_in_service(
    target: Target, config: str, on_status: Callable[[str], None], timeout_s: float
) -> None:
    name, deadline = target.output("EndpointName"), time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        endpoint = target.sagemaker.describe_endpoint(EndpointName=name)
        status = endpoint["EndpointStatus"]
        on_status(f"endpoint {name}: {status}")
        if status == "InService":
            if endpoint["EndpointConfigName"] == config:
                return
            reason = endpoint.get("FailureReason", "")
            raise LoupeError(
                f"the endpoint {name} kept its previous model: {reason}",
                limits.hint(reason) or "Check the container's log: loupe logs endpoint",
            )
        if status in ("Failed", "OutOfService", "UpdateRollbackFailed"):
            reason = endpoint.get("FailureReason", "no reason given")
            raise LoupeError(
                f"the endpoint {name} is {status}: {reason}",
                limits.hint(reason) or "Check the container's log, fix the model, and deploy again.",
            )
        time.sleep(0.2 if target.local_cloud else 10)
    raise LoupeError(
        f"the endpoint {name} is still {status} after {timeout_s:.0f} s",
        "Check later which model serves: loupe models.",
    )

"""The endpoint's autoscaling, as the stack's outputs say it.

SageMaker forgets a variant's scalable target when the endpoint is created again, and refuses an update to another
instance type while one is registered:
https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-delete.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contract.scaling import DIMENSION, POLICY, SERVICE, policy, scalable_target
from loupe.stack.target import Target


@dataclass(frozen=True)
class Limits:
    """What autoscaling aims at.

    Attributes:
        least: Fewest instances.
        most: Most instances.
        invocations: Images per minute and instance.
    """

    least: int
    most: int
    invocations: float


def wanted(target: Target) -> Limits | None:
    """Return what the stack's outputs say; None for a stack of a version that did not say it."""
    names = ("EndpointMinInstances", "EndpointMaxInstances", "InvocationsPerInstance")
    if any(name not in target.outputs for name in names):
        return None
    least, most, invocations = (target.output(name) for name in names)
    return Limits(int(least), int(most), float(invocations))


def registered(target: Target, variant: str) -> Limits | None:
    """Return what is registered for a variant of the endpoint; None if it is not scaled."""
    targets = _targets(target, variant)
    policies = target.scaling.describe_scaling_policies(**_scaled(target, variant))["ScalingPolicies"]
    values = [
        found["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
        for found in policies
        if found["PolicyName"] == POLICY and "TargetTrackingScalingPolicyConfiguration" in found
    ]
    if not targets or not values:
        return None
    return Limits(int(targets[0]["MinCapacity"]), int(targets[0]["MaxCapacity"]), float(values[0]))


def register(target: Target, variant: str) -> Limits | None:
    """Let autoscaling follow the number of images; a second time changes nothing.

    Args:
        target: The stack, whose endpoint is in service.
        variant: The endpoint's variant.

    Returns:
        What was registered; None if the stack does not say it.
    """
    limits = wanted(target)
    if limits is None:
        return None
    scaled = _scaled(target, variant)
    target.scaling.register_scalable_target(**scaled, MinCapacity=limits.least, MaxCapacity=limits.most)
    target.scaling.put_scaling_policy(**scaled, **policy(limits.invocations))
    return limits


def deregister(target: Target, variant: str) -> None:
    """End the autoscaling of a variant, with its policies and alarms; nothing happens if it is not scaled."""
    if _targets(target, variant):
        target.scaling.deregister_scalable_target(**_scaled(target, variant))


def _targets(target: Target, variant: str) -> list[dict[str, Any]]:
    scaled = _scaled(target, variant)
    reply = target.scaling.describe_scalable_targets(
        ServiceNamespace=SERVICE, ResourceIds=[scaled["ResourceId"]], ScalableDimension=DIMENSION
    )
    return list(reply["ScalableTargets"])


def _scaled(target: Target, variant: str) -> dict[str, Any]:
    return scalable_target(target.output("EndpointName"), variant)

"""The endpoint's autoscaling, as the state machine, the function of the hours and the command register it.

statemachine/retrain.asl.yaml repeats the values, because a state machine imports nothing; a test compares them.
https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
"""

from __future__ import annotations

from typing import Any

SERVICE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
POLICY = "invocations"


def scalable_target(endpoint: str, variant: str) -> dict[str, str]:
    """Return what names a variant of an endpoint in every request to Application Auto Scaling.

    >>> scalable_target("loupe-detector", "AllTraffic")["ResourceId"]
    'endpoint/loupe-detector/variant/AllTraffic'
    """
    return {
        "ServiceNamespace": SERVICE,
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": DIMENSION,
    }


def policy(invocations: float) -> dict[str, Any]:
    """Return the members of PutScalingPolicy that make the instances follow the images.

    Args:
        invocations: Images per minute and instance.
    """
    return {
        "PolicyName": POLICY,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": float(invocations),
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
            # Seconds for which no further instances are removed, or added.
            "ScaleInCooldown": 300,
            "ScaleOutCooldown": 60,
        },
    }

"""The two alarms that target tracking creates for each of its policies.

https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html
"""

import uuid
from typing import Any

# How many minutes the metric must be above the target before a scale-out, and below it before a scale-in.
_MINUTES = {"High": 3, "Low": 15}
# A scale-in begins below this part of the target.
_LOW = 0.9
_COMPARISONS = {"High": "GreaterThanThreshold", "Low": "LessThanThreshold"}
# PredefinedMetricType -> MetricName, Statistic.
_PREDEFINED = {
    "SageMakerVariantInvocationsPerInstance": ("InvocationsPerInstance", "Sum"),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": ("ConcurrentRequestsPerModel", "Maximum"),
}


def alarms_of(policy: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the PutMetricAlarm requests of a target tracking policy.

    Args:
        policy: The policy, with its PolicyARN.
    """
    config = policy["TargetTrackingScalingPolicyConfiguration"]
    kinds = ["High"] if config.get("DisableScaleIn") else ["High", "Low"]
    return [
        {
            "AlarmName": f"TargetTracking-{policy['ResourceId']}-Alarm{kind}-{uuid.uuid4()}",
            "AlarmDescription": "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy "
            f"{policy['PolicyARN']}.",
            **_metric(config, policy["ResourceId"]),
            "Period": 60,
            "EvaluationPeriods": _MINUTES[kind],
            "Threshold": config["TargetValue"] * (1 if kind == "High" else _LOW),
            "ComparisonOperator": _COMPARISONS[kind],
            "AlarmActions": [policy["PolicyARN"]],
        }
        for kind in kinds
    ]


def _metric(config: dict[str, Any], resource: str) -> dict[str, Any]:
    custom = config.get("CustomizedMetricSpecification")
    if custom and "MetricName" in custom:
        metric = {member: custom[member] for member in ("MetricName", "Namespace", "Statistic")}
        return metric | {"Dimensions": custom.get("Dimensions", [])}
    _, endpoint, _, variant = resource.split("/")
    predefined = config.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType", "")
    name, statistic = _PREDEFINED.get(predefined, (predefined, "Average"))
    return {
        "MetricName": name,
        "Namespace": "AWS/SageMaker",
        "Statistic": statistic,
        "Dimensions": [
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": variant},
        ],
    }

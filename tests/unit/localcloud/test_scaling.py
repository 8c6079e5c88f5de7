"""Autoscaling of endpoints: what can be registered, what it prevents, what an update keeps of it."""

from typing import Any

import boto3
import pytest

from localcloud.sagemaker.aws_errors import AwsError
from tests.unit.localcloud.stage import Stage, eventually

VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/e/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
METRIC = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
POLICY = {
    **VARIANT,
    "PolicyName": "invocations",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": METRIC,
    },
}


@pytest.fixture
def served(stage: Stage) -> Stage:
    """A stage with the endpoint e, which has two instances."""
    stage.serve("e", instances=2)
    return stage


def scale(stage: Stage, operation: str, request: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return stage.cloud.scaling.call(operation, {**(request or VARIANT), **more})


def refusal(stage: Stage, operation: str, **request: Any) -> AwsError:
    call = stage.cloud.scaling.call if "Sc" in operation else stage.cloud.call
    with pytest.raises(AwsError) as caught:
        call(operation, request)
    return caught.value


def alarm_names() -> list[str]:
    alarms = boto3.client("cloudwatch", region_name="us-east-1").describe_alarms()["MetricAlarms"]
    return [alarm["AlarmName"] for alarm in alarms]


def counts(description: dict[str, Any]) -> tuple[int, int]:
    (variant,) = description["ProductionVariants"]
    return variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]


@pytest.mark.parametrize("resource", ["endpoint/none/variant/AllTraffic", "endpoint/e/variant/other", "e"])
def test_only_a_variant_that_serves_can_be_registered(stage: Stage, resource: str) -> None:
    error = refusal(
        stage, "RegisterScalableTarget", **{**VARIANT, "ResourceId": resource}, MinCapacity=1, MaxCapacity=2
    )
    assert error.code == "ValidationException"
    assert resource in error.message


def test_targets_and_policies_are_listed_and_vanish_with_their_alarms(served: Stage) -> None:
    error = refusal(served, "PutScalingPolicy", **POLICY)
    assert error.code == "ObjectNotFoundException"
    assert error.message == (
        "No scalable target registered for service namespace: sagemaker, resource ID: "
        "endpoint/e/variant/AllTraffic, scalable dimension: sagemaker:variant:DesiredInstanceCount, "
        "policy name: invocations"
    )
    assert (
        "less than minimum"
        in refusal(served, "RegisterScalableTarget", **VARIANT, MinCapacity=3, MaxCapacity=2).message
    )
    first = scale(served, "RegisterScalableTarget", MinCapacity=2, MaxCapacity=4)
    second = scale(served, "RegisterScalableTarget", MaxCapacity=5)
    assert first == second == {"ScalableTargetARN": served.cloud.scaling.targets("e")[0]}
    (target,) = scale(served, "DescribeScalableTargets", {"ServiceNamespace": "sagemaker"})["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 5)

    put = scale(served, "PutScalingPolicy", POLICY)
    again = scale(served, "PutScalingPolicy", POLICY)
    assert put["PolicyARN"] == again["PolicyARN"]
    assert sorted(alarm_names()) == sorted(alarm["AlarmName"] for alarm in again["Alarms"])
    assert len(again["Alarms"]) == 2
    prefix = "TargetTracking-endpoint/e/variant/AllTraffic-Alarm"
    assert all(name.startswith((f"{prefix}High-", f"{prefix}Low-")) for name in alarm_names())
    (policy,) = scale(served, "DescribeScalingPolicies")["ScalingPolicies"]
    assert policy["Alarms"] == again["Alarms"]

    scale(served, "DeregisterScalableTarget")
    assert alarm_names() == []
    assert scale(served, "DescribeScalingPolicies")["ScalingPolicies"] == []
    assert refusal(served, "DeregisterScalableTarget", **VARIANT).code == "ObjectNotFoundException"


def test_a_policy_is_deleted_alone(served: Stage) -> None:
    scale(served, "RegisterScalableTarget", MinCapacity=2, MaxCapacity=4)
    scale(served, "PutScalingPolicy", POLICY)
    scale(served, "DeleteScalingPolicy", PolicyName="invocations")
    assert alarm_names() == []
    assert served.cloud.scaling.targets("e")
    error = refusal(served, "DeleteScalingPolicy", **VARIANT, PolicyName="invocations")
    assert error.code == "ObjectNotFoundException"


def test_deleting_an_endpoint_deregisters_it(served: Stage) -> None:
    scale(served, "RegisterScalableTarget", MinCapacity=2, MaxCapacity=4)
    scale(served, "PutScalingPolicy", POLICY)
    served.call("DeleteEndpoint", EndpointName="e")
    assert served.cloud.scaling.targets("e") == []
    assert alarm_names() == []
    eventually(lambda: served.call("ListEndpoints")["Endpoints"] == [])


def test_another_instance_type_needs_the_deregistration_first(served: Stage) -> None:
    scale(served, "RegisterScalableTarget", MinCapacity=2, MaxCapacity=4)
    served.config("larger", instances=2, instance_type="ml.m5.xlarge")
    served.config("same", instances=2)
    error = refusal(served, "UpdateEndpoint", EndpointName="e", EndpointConfigName="larger")
    assert error.code == "ValidationException"
    assert "must be deregistered as scalable targets with AWS Auto Scaling" in error.message
    served.call("UpdateEndpoint", EndpointName="e", EndpointConfigName="same")
    assert served.settled("e")["EndpointConfigName"] == "same"
    scale(served, "DeregisterScalableTarget")
    served.call("UpdateEndpoint", EndpointName="e", EndpointConfigName="larger")
    assert served.settled("e")["EndpointConfigName"] == "larger"


def test_an_update_keeps_the_scaled_count_only_when_asked(served: Stage) -> None:
    change = {"VariantName": "AllTraffic", "DesiredInstanceCount": 3}
    served.call("UpdateEndpointWeightsAndCapacities", EndpointName="e", DesiredWeightsAndCapacities=[change])
    assert counts(served.settled("e")) == (3, 3)
    served.config("next", instances=2)
    served.call(
        "UpdateEndpoint", EndpointName="e", EndpointConfigName="next", RetainAllVariantProperties=True
    )
    assert counts(served.settled("e")) == (3, 3)
    served.call("UpdateEndpoint", EndpointName="e", EndpointConfigName="e")
    assert counts(served.settled("e")) == (2, 2)
    error = refusal(
        served,
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="e",
        DesiredWeightsAndCapacities=[change | {"VariantName": "other"}],
    )
    assert "not present within endpoint configuration" in error.message


def test_a_canary_needs_two_instances_of_the_new_fleet(stage: Stage) -> None:
    stage.serve("e", instances=1)
    routing = {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 0,
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
    }
    config = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    error = refusal(
        stage, "UpdateEndpoint", EndpointName="e", EndpointConfigName="e", DeploymentConfig=config
    )
    assert "less than or equal to 50%" in error.message
    stage.config("two", instances=2)
    stage.call("UpdateEndpoint", EndpointName="e", EndpointConfigName="two", DeploymentConfig=config)
    assert counts(stage.settled("e")) == (2, 2)


def test_a_laptop_has_scaled_nothing_and_says_what_else_is_not_there(served: Stage) -> None:
    assert scale(served, "DescribeScalingActivities", {"ServiceNamespace": "sagemaker"}) == {
        "ScalingActivities": []
    }
    error = refusal(served, "PutScheduledAction", **VARIANT, ScheduledActionName="night")
    assert error.code == "UnknownOperationException"
    assert "What works: RegisterScalableTarget" in error.message

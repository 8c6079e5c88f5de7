"""The role of the function that keeps the hours allows the calls that it makes, and no more."""

from typing import Any

from tests.unit.hours.stage import TEMPLATE, Stage
from tests.unit.hours.test_keeper import BEFORE, EVENING

NEEDS = {
    "DescribeEndpoint": {"sagemaker:DescribeEndpoint"},
    "DescribeEndpointConfig": {"sagemaker:DescribeEndpointConfig"},
    "CreateEndpoint": {"sagemaker:CreateEndpoint"},
    "DeleteEndpoint": {"sagemaker:DeleteEndpoint", "application-autoscaling:DeregisterScalableTarget"},
    # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html
    "RegisterScalableTarget": {
        "application-autoscaling:RegisterScalableTarget",
        "sagemaker:DescribeEndpoint",
        "sagemaker:DescribeEndpointConfig",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        "iam:CreateServiceLinkedRole",
    },
    "DeregisterScalableTarget": {
        "application-autoscaling:DeregisterScalableTarget",
        "cloudwatch:DeleteAlarms",
    },
    "PutScalingPolicy": {
        "application-autoscaling:PutScalingPolicy",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:PutMetricAlarm",
    },
    "GetParameter": {"ssm:GetParameter"},
    "PutParameter": {"ssm:PutParameter"},
    "ListExecutions": {"states:ListExecutions"},
    "GetExecutionHistory": {"states:GetExecutionHistory"},
}
LAMBDA = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}


def statements() -> list[dict[str, Any]]:
    (policy,) = TEMPLATE["Resources"]["HoursRole"]["Properties"]["Policies"]
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def allowed() -> set[str]:
    actions = [statement["Action"] for statement in statements()]
    return {action for listed in actions for action in (listed if isinstance(listed, list) else [listed])}


def test_the_role_allows_exactly_the_calls_of_a_day(stage: Stage) -> None:
    stage.serve()
    stage.running = "AskApproval"
    stage.look(EVENING)
    stage.settle()
    for _ in range(2):
        stage.look(BEFORE)
        stage.settle()
    assert set().union(*(NEEDS[call] for call in stage.calls)) | LAMBDA == allowed()


def test_the_role_names_what_it_may_touch() -> None:
    for statement in statements():
        if statement["Resource"] == "*":
            assert set(statement["Action"]) <= LAMBDA  # X-Ray supports no resource

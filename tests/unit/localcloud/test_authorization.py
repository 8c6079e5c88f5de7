"""What a request to SageMaker or its autoscaling must be allowed to, besides the operation itself."""

from collections.abc import Iterator
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import iam

from localcloud.sagemaker.authorization import SAGEMAKER, SCALING, Authorization
from localcloud.sagemaker.aws_errors import AwsError
from tests.unit.localcloud.policies import ACCOUNT, REGION, allow, make_role
from tests.unit.localcloud.stage import BUCKET, ROLE, Stage, training_request

SCALING_TARGET = f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/new"
ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
LINKED = (
    f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/line/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/press/serve:1"


@pytest.fixture(autouse=True)
def _no_roles() -> Iterator[None]:
    yield
    iam._roles._data.clear()


@pytest.fixture
def authorization(stage: Stage) -> Authorization:
    return Authorization(stage.cloud, REGION, ACCOUNT)


@pytest.fixture
def endpoint(stage: Stage) -> str:
    """An endpoint in service, with autoscaling."""
    stage.put("models/one.tar.gz", "")
    stage.call(
        "CreateModel",
        ModelName="one",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "detector", "ModelDataUrl": f"s3://{BUCKET}/models/one.tar.gz"},
    )
    variant = {"VariantName": "AllTraffic", "ModelName": "one", "InstanceType": "ml.m5.large"}
    stage.call(
        "CreateEndpointConfig",
        EndpointConfigName="line-1",
        ProductionVariants=[variant | {"InitialInstanceCount": 1}],
    )
    stage.call("CreateEndpoint", EndpointName="line", EndpointConfigName="line-1")
    return "line"


def needed(
    authorization: Authorization, service: str, operation: str, request: dict[str, Any]
) -> set[tuple[str, str]]:
    with request_scope(ACCOUNT, REGION):
        return {(check.action, check.resource) for check in authorization.checks(service, operation, request)}


def test_a_job_needs_the_role_that_it_passes_and_the_tags_that_it_gets(authorization: Authorization) -> None:
    request = training_request("one") | {"Tags": [{"Key": "run", "Value": "1"}]}
    checks = list(authorization.checks(SAGEMAKER, "CreateTrainingJob", request))
    assert [(check.action, check.resource) for check in checks] == [
        ("sagemaker:CreateTrainingJob", f"{ARN}:training-job/one"),
        ("iam:PassRole", ROLE),
        ("sagemaker:AddTags", f"{ARN}:training-job/one"),
    ]
    assert checks[1].context == {"iam:PassedToService": "sagemaker.amazonaws.com"}


def test_a_transform_job_passes_no_role(authorization: Authorization) -> None:
    """It has that of its model, which CreateModel has passed."""
    request = {
        "TransformJobName": "Monday",
        "ModelName": "judge",
        "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}}},
        "Tags": [{"Key": "line", "Value": "7"}],
    }
    assert needed(authorization, SAGEMAKER, "CreateTransformJob", request) == {
        ("sagemaker:CreateTransformJob", f"{ARN}:transform-job/monday"),
        ("sagemaker:AddTags", f"{ARN}:transform-job/monday"),
    }
    stopping = needed(authorization, SAGEMAKER, "StopTransformJob", {"TransformJobName": "Monday"})
    assert stopping == {("sagemaker:StopTransformJob", f"{ARN}:transform-job/monday")}
    assert needed(authorization, SAGEMAKER, "ListTransformJobs", {}) == {("sagemaker:ListTransformJobs", "*")}


def test_a_model_version_needs_its_container_its_model_and_its_metrics(authorization: Authorization) -> None:
    request = {
        "ModelPackageGroupName": "press",
        "InferenceSpecification": {
            "Containers": [{"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/models/one.tar.gz"}]
        },
        "ModelMetrics": {
            "ModelQuality": {"Statistics": {"ContentType": "x", "S3Uri": f"s3://{BUCKET}/reports/1.json"}}
        },
    }
    repository = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/press/serve"
    assert needed(authorization, SAGEMAKER, "CreateModelPackage", request) == {
        ("sagemaker:CreateModelPackage", f"{ARN}:model-package/press/*"),
        ("ecr:BatchGetImage", repository),
        ("ecr:DescribeImages", repository),
        ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/models/one.tar.gz"),
        ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/reports/1.json"),
    }


def test_a_request_that_names_a_resource_by_its_arn_needs_the_permission_on_that_arn(
    authorization: Authorization, stage: Stage
) -> None:
    stage.call("CreateModelPackageGroup", ModelPackageGroupName="press")
    container = {"Image": "detector", "ModelDataUrl": f"s3://{BUCKET}/models/one.tar.gz"}
    arn = stage.call(
        "CreateModelPackage",
        ModelPackageGroupName="press",
        InferenceSpecification={"Containers": [container]},
    )["ModelPackageArn"]
    request = {"ModelPackageName": arn}
    assert needed(authorization, SAGEMAKER, "DescribeModelPackage", request) == {
        ("sagemaker:DescribeModelPackage", arn)
    }


@pytest.mark.parametrize("operation", ["CreateEndpoint", "UpdateEndpoint"])
def test_an_endpoint_is_checked_together_with_its_configuration_and_the_alarms_that_roll_it_back(
    authorization: Authorization, operation: str
) -> None:
    request = {
        "EndpointName": "line",
        "EndpointConfigName": "line-2",
        "DeploymentConfig": {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]}},
    }
    assert needed(authorization, SAGEMAKER, operation, request) == {
        (f"sagemaker:{operation}", f"{ARN}:endpoint/line"),
        (f"sagemaker:{operation}", f"{ARN}:endpoint-config/line-2"),
        ("cloudwatch:DescribeAlarms", f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*"),
    }


def test_scaling_needs_the_endpoint_its_configuration_and_at_first_the_role_of_the_service(
    authorization: Authorization, endpoint: str
) -> None:
    request = VARIANT | {"MinCapacity": 1, "MaxCapacity": 2}
    wanted = {
        ("application-autoscaling:RegisterScalableTarget", SCALING_TARGET),
        ("sagemaker:DescribeEndpoint", f"{ARN}:endpoint/line"),
        ("sagemaker:DescribeEndpointConfig", f"{ARN}:endpoint-config/line-1"),
        ("sagemaker:UpdateEndpointWeightsAndCapacities", f"{ARN}:endpoint/line"),
    }
    linked = {("iam:CreateServiceLinkedRole", LINKED)}
    assert needed(authorization, SCALING, "RegisterScalableTarget", request) == wanted | linked
    with request_scope(ACCOUNT, REGION):
        authorization.authorize(SCALING, "RegisterScalableTarget", request, lambda check: None)
        assert iam._roles["AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"]["Arn"] == LINKED
    assert needed(authorization, SCALING, "RegisterScalableTarget", request) == wanted


def test_a_scaled_endpoint_is_deleted_only_by_who_may_end_its_scaling(
    authorization: Authorization, stage: Stage, endpoint: str
) -> None:
    stage.cloud.scaling.call("RegisterScalableTarget", VARIANT | {"MinCapacity": 1, "MaxCapacity": 2})
    role = make_role(allow("sagemaker:*"))
    with pytest.raises(AwsError, match="An Application AutoScaling scalable target exists"):
        authorization.authorize(SAGEMAKER, "DeleteEndpoint", {"EndpointName": endpoint}, role.refusal)
    scaled = {"application-autoscaling:scalable-dimension": VARIANT["ScalableDimension"]}
    role = make_role(
        allow("sagemaker:*"),
        allow("application-autoscaling:DeregisterScalableTarget", Condition={"StringEquals": scaled}),
    )
    authorization.authorize(SAGEMAKER, "DeleteEndpoint", {"EndpointName": endpoint}, role.refusal)


@pytest.mark.parametrize("name", ["press/1", f"{ARN}:model-package/press/1"])
def test_a_resource_may_be_given_by_its_arn(authorization: Authorization, name: str) -> None:
    assert needed(authorization, SAGEMAKER, "DescribeModelPackage", {"ModelPackageName": name}) == {
        ("sagemaker:DescribeModelPackage", f"{ARN}:model-package/press/1")
    }


def test_what_is_refused_is_named_in_the_error(authorization: Authorization) -> None:
    role = make_role(allow("sagemaker:CreateTrainingJob"))
    with pytest.raises(AwsError) as refused:
        authorization.authorize(SAGEMAKER, "CreateTrainingJob", training_request("one"), role.refusal)
    assert (refused.value.code, refused.value.status) == ("AccessDeniedException", 400)
    assert f"is not authorized to perform: iam:PassRole on resource: {ROLE}" in refused.value.message

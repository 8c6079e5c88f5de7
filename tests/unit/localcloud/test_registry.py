"""The model registry: versions, approvals, and models created from a package."""

from typing import Any

import pytest

from localcloud.sagemaker.aws_errors import AwsError
from tests.unit.localcloud.stage import BUCKET, ROLE, Stage

ARN = "arn:aws:sagemaker:us-east-1:000000000000"
CONTAINER = {
    "Image": "detector:1",
    "ModelDataUrl": f"s3://{BUCKET}/m.tar.gz",
    "Environment": {"A": "1", "B": "1"},
}


def register(stage: Stage, **members: Any) -> str:
    request = {"ModelPackageGroupName": "Detectors", "InferenceSpecification": {"Containers": [CONTAINER]}}
    return str(stage.call("CreateModelPackage", **request | members)["ModelPackageArn"])


def describe(stage: Stage, arn: str) -> dict[str, Any]:
    return stage.call("DescribeModelPackage", ModelPackageName=arn)


@pytest.fixture
def registry(stage: Stage) -> Stage:
    stage.call("CreateModelPackageGroup", ModelPackageGroupName="Detectors", ModelPackageGroupDescription="d")
    return stage


def test_versions_count_up_and_wait_for_approval(registry: Stage) -> None:
    assert register(registry) == f"{ARN}:model-package/detectors/1"
    second = register(registry, CustomerMetadataProperties={"map": "0.7", "set": "a"})
    description = describe(registry, second)
    assert (description["ModelPackageVersion"], description["ModelPackageStatus"]) == (2, "Completed")
    assert description["ModelApprovalStatus"] == "PendingManualApproval"
    assert description["InferenceSpecification"]["Containers"] == [CONTAINER]
    registry.call(
        "UpdateModelPackage",
        ModelPackageArn=second,
        ModelApprovalStatus="Approved",
        ApprovalDescription="better",
        CustomerMetadataProperties={"map": "0.8"},
        CustomerMetadataPropertiesToRemove=["set"],
    )
    description = describe(registry, second)
    assert (description["ModelApprovalStatus"], description["ApprovalDescription"]) == ("Approved", "better")
    assert description["CustomerMetadataProperties"] == {"map": "0.8"}
    listed = registry.call(
        "ListModelPackages",
        ModelPackageGroupName="Detectors",
        SortBy="CreationTime",
        SortOrder="Descending",
    )["ModelPackageSummaryList"]
    assert [package["ModelPackageVersion"] for package in listed] == [2, 1]
    approved = registry.call(
        "ListModelPackages", ModelPackageGroupName="Detectors", ModelApprovalStatus="Approved"
    )
    assert [package["ModelPackageArn"] for package in approved["ModelPackageSummaryList"]] == [second]
    assert registry.call("ListModelPackages") == {"ModelPackageSummaryList": []}  # unversioned is the default


def test_the_number_of_a_deleted_version_is_not_used_again(registry: Stage) -> None:
    registry.call("DeleteModelPackage", ModelPackageName=register(registry))
    assert register(registry).endswith("/2")
    registry.restart()
    assert register(registry).endswith("/3")


def test_a_group_is_created_once_and_deleted_when_empty(registry: Stage) -> None:
    with pytest.raises(AwsError, match="Model Package Group already exists: arn") as taken:
        registry.call("CreateModelPackageGroup", ModelPackageGroupName="Detectors")
    assert taken.value.code == "ValidationException"
    version = register(registry)
    with pytest.raises(AwsError) as full:
        registry.call("DeleteModelPackageGroup", ModelPackageGroupName="Detectors")
    assert full.value.code == "ConflictException"
    registry.call("DeleteModelPackage", ModelPackageName=version)
    registry.call("DeleteModelPackageGroup", ModelPackageGroupName=f"{ARN}:model-package-group/detectors")
    assert registry.call("ListModelPackageGroups") == {"ModelPackageGroupSummaryList": []}
    with pytest.raises(AwsError, match="does not exist"):
        registry.call("DescribeModelPackageGroup", ModelPackageGroupName="Detectors")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"ModelPackageGroupName": "nobody"}, "does not exist"),
        ({"ModelPackageName": "alone"}, "not both"),
        ({"InferenceSpecification": {"Containers": [{"ModelDataUrl": "s3://b/k"}]}}, "Image"),
        ({"InferenceSpecification": {"Containers": []}}, "Containers"),
        ({"ModelApprovalStatus": "Perhaps"}, "enum value set"),
    ],
)
def test_a_bad_package_is_refused(registry: Stage, members: dict[str, Any], message: str) -> None:
    with pytest.raises(AwsError, match=message):
        register(registry, **members)


def test_a_model_is_created_from_an_approved_package(registry: Stage) -> None:
    registry.put("m.tar.gz", "model")
    version = register(registry)
    container = {"ModelPackageName": version, "Environment": {"B": "2"}}
    model = {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": container}
    with pytest.raises(AwsError, match="not approved: it is PendingManualApproval"):
        registry.call("CreateModel", **model)
    registry.call("UpdateModelPackage", ModelPackageArn=version, ModelApprovalStatus="Approved")
    registry.call("CreateModel", **model)
    described = registry.call("DescribeModel", ModelName="m")["PrimaryContainer"]
    assert described == {"Mode": "SingleModel", **container}
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    registry.call("CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[variant])
    plan = registry.cloud._endpoints._models.plan("c")
    assert (plan["image"], plan["model_data"]) == ("detector:1", f"s3://{BUCKET}/m.tar.gz")
    assert plan["environment"] == {"A": "1", "B": "2"}

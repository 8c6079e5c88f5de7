"""What an endpoint needs for an update, and what a deletion leaves."""

import pytest

from localcloud.sagemaker.aws_errors import AwsError
from tests.unit.localcloud.stage import Stage, eventually


def test_a_configuration_in_use_is_needed_for_the_next_update(stage: Stage) -> None:
    stage.serve("e")
    stage.config("next")
    stage.call("DeleteEndpointConfig", EndpointConfigName="e")
    assert stage.settled("e")["EndpointStatus"] == "InService"
    with pytest.raises(AwsError, match=r"Could not find endpoint configuration .*endpoint-config/e"):
        stage.call("UpdateEndpoint", EndpointName="e", EndpointConfigName="next")
    assert stage.settled("e")["EndpointConfigName"] == "e"


def test_everything_that_was_created_can_be_deleted(stage: Stage) -> None:
    stage.call("CreateModelPackageGroup", ModelPackageGroupName="g")
    container = {"Image": "loupe/serve:local"}
    package = stage.call(
        "CreateModelPackage",
        ModelPackageGroupName="g",
        InferenceSpecification={"Containers": [container]},
    )
    with pytest.raises(AwsError, match="cannot be deleted: it has Model Packages") as caught:
        stage.call("DeleteModelPackageGroup", ModelPackageGroupName="g")
    assert caught.value.code == "ConflictException"
    stage.serve("e")
    stage.call("DeleteEndpoint", EndpointName="e")
    stage.call("DeleteEndpointConfig", EndpointConfigName="e")
    stage.call("DeleteModel", ModelName="e")
    stage.call("DeleteModelPackage", ModelPackageName=package["ModelPackageArn"])
    stage.call("DeleteModelPackageGroup", ModelPackageGroupName="g")
    eventually(lambda: stage.call("ListEndpoints")["Endpoints"] == [])
    for operation, member in (
        ("ListEndpointConfigs", "EndpointConfigs"),
        ("ListModels", "Models"),
        ("ListModelPackageGroups", "ModelPackageGroupSummaryList"),
    ):
        assert stage.call(operation)[member] == []


def test_a_serverless_variant_serves_and_has_no_instances(stage: Stage) -> None:
    stage.config("m")
    config = {"MemorySizeInMB": 4096, "MaxConcurrency": 2}
    variant = {"VariantName": "AllTraffic", "ModelName": "m", "ServerlessConfig": config}
    stage.call("CreateEndpointConfig", EndpointConfigName="serverless", ProductionVariants=[variant])
    stage.call("CreateEndpoint", EndpointName="e", EndpointConfigName="serverless")
    served = stage.settled("e")
    assert served["EndpointStatus"] == "InService"
    (answered,) = served["ProductionVariants"]
    assert answered["CurrentServerlessConfig"] == config
    assert answered["CurrentInstanceCount"] == 0
    assert "DesiredInstanceCount" not in answered

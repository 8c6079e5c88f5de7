"""What an endpoint needs for an update, and what a deletion leaves."""

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.program_log import ProgramLog
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


def test_the_log_group_that_a_model_error_names_is_there_before_the_program_prints(
    stage: Stage, tmp_path: Path
) -> None:
    logs = boto3.client("logs", region_name="us-east-1")
    group = "/aws/sagemaker/Endpoints/quiet"
    for number in range(2):
        ProgramLog(tmp_path / "log", logs, group, f"AllTraffic/{number}").open()
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == ["AllTraffic/0", "AllTraffic/1"]


def test_a_role_that_may_not_write_logs_does_not_keep_a_model_from_serving(
    stage: Stage, tmp_path: Path
) -> None:
    logs = boto3.client("logs", region_name="us-east-1")

    def deny(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "CreateLogGroup")

    logs.meta.events.register("before-call.cloudwatch-logs.CreateLogGroup", deny)
    log = ProgramLog(tmp_path / "log", logs, "/aws/sagemaker/Endpoints/quiet", "AllTraffic/0")
    log.open()
    log.write("a line")
    log.send()
    assert (tmp_path / "log").read_text() == "a line\n"

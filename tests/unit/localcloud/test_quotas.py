"""Quotas: what does not fit is refused in AWS's words, and the API of Service Quotas shows and raises them."""

import json
from typing import Any

import pytest

from localcloud.sagemaker.aws_errors import AwsError
from tests.unit.localcloud.stage import ROLE, Stage, eventually, training_request


def set_quotas(stage: Stage, **values: int) -> None:
    """Set quotas of ml.m5.large by use: endpoint, training, spot, processing."""
    names = {
        "endpoint": "ml.m5.large for endpoint usage",
        "training": "ml.m5.large for training job usage",
        "spot": "ml.m5.large for spot training job usage",
        "processing": "ml.m5.large for processing job usage",
    }
    quotas = {names[use]: value for use, value in values.items()}
    (stage.folder / "quotas.json").write_text(json.dumps(quotas))


def refused(stage: Stage, operation: str, **request: Any) -> str:
    with pytest.raises(AwsError) as caught:
        stage.call(operation, **request)
    assert caught.value.code == "ResourceLimitExceeded", caught.value
    return caught.value.message


def training(name: str, **members: Any) -> dict[str, Any]:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    return training_request(name, {"seconds": "60"}, ResourceConfig=resources, **members)


def test_an_endpoint_without_a_quota_is_refused_in_the_words_of_aws(stage: Stage) -> None:
    stage.config("c", instances=2)
    set_quotas(stage, endpoint=0)
    message = refused(stage, "CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    assert message.startswith(
        "The account-level service limit 'ml.m5.large for endpoint usage' is 0 Instances, with current "
        "utilization of 0 Instances and a request delta of 2 Instances. "
    )
    assert stage.call("ListEndpoints")["Endpoints"] == []


def test_a_swap_needs_the_instances_of_both_fleets(stage: Stage) -> None:
    stage.serve("e", instances=2)
    stage.config("next", instances=2)
    set_quotas(stage, endpoint=3)
    message = refused(stage, "UpdateEndpoint", EndpointName="e", EndpointConfigName="next")
    assert (
        "is 3 Instances, with current utilization of 2 Instances and a request delta of 2 Instances"
        in message
    )
    assert stage.settled("e")["EndpointConfigName"] == "e"
    set_quotas(stage, endpoint=4)
    stage.call("UpdateEndpoint", EndpointName="e", EndpointConfigName="next")
    assert stage.settled("e")["EndpointConfigName"] == "next"
    change = {"VariantName": "AllTraffic", "DesiredInstanceCount": 5}
    message = refused(
        stage, "UpdateEndpointWeightsAndCapacities", EndpointName="e", DesiredWeightsAndCapacities=[change]
    )
    assert "a request delta of 3 Instances" in message


def test_training_on_spot_instances_has_its_own_quota(stage: Stage) -> None:
    set_quotas(stage, training=1, spot=0)
    stage.call("CreateTrainingJob", **training("first"))
    assert "current utilization of 1 Instances" in refused(stage, "CreateTrainingJob", **training("second"))
    spot = training(
        "spot",
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
    )
    assert "'ml.m5.large for spot training job usage' is 0" in refused(stage, "CreateTrainingJob", **spot)
    stage.call("StopTrainingJob", TrainingJobName="first")
    stage.ended("TrainingJob", "first")
    stage.call("CreateTrainingJob", **training("second"))


def test_a_tuning_job_needs_what_its_children_use_at_once(stage: Stage) -> None:
    set_quotas(stage, training=1)
    definition = {
        key: value
        for key, value in training("unused").items()
        if key not in ("TrainingJobName", "HyperParameters")
    }
    request = {
        "HyperParameterTuningJobName": "tuned",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "val:map"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {
                "ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.1", "MaxValue": "0.9"}]
            },
        },
        "TrainingJobDefinition": definition,
    }
    assert "a request delta of 2 Instances" in refused(stage, "CreateHyperParameterTuningJob", **request)


def test_a_processing_job_has_its_own_quota(stage: Stage) -> None:
    set_quotas(stage, processing=0)
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
    request = {
        "ProcessingJobName": "p",
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": "t:1", "ContainerEntrypoint": ["python", "-m", "training.process"]},
        "ProcessingResources": {"ClusterConfig": cluster},
    }
    assert "'ml.m5.large for processing job usage' is 0" in refused(stage, "CreateProcessingJob", **request)


def quota(stage: Stage, name: str) -> dict[str, Any]:
    """The quota of that name, found as a client does: AWS has too many for one page."""
    request: dict[str, Any] = {"ServiceCode": "sagemaker"}
    while True:
        page = stage.cloud.service_quotas.call("ListServiceQuotas", request)
        found = [entry for entry in page["Quotas"] if entry["QuotaName"] == name]
        if found:
            return dict(found[0])
        request["NextToken"] = page["NextToken"]


def test_an_increase_is_granted_at_once_and_remembered(stage: Stage) -> None:
    stage.config("c", instances=2)
    set_quotas(stage, endpoint=1)
    name = "ml.m5.large for endpoint usage"
    entry = quota(stage, name)
    assert entry["Value"] == 1
    asked = {"ServiceCode": "sagemaker", "QuotaCode": entry["QuotaCode"]}
    api = stage.cloud.service_quotas
    assert api.call("GetAWSDefaultServiceQuota", asked)["Quota"]["Value"] == 20
    with pytest.raises(AwsError, match="greater than the current"):
        api.call("RequestServiceQuotaIncrease", asked | {"DesiredValue": 1.0})
    change = api.call("RequestServiceQuotaIncrease", asked | {"DesiredValue": 2.0})["RequestedQuota"]
    found = api.call("GetRequestedServiceQuotaChange", {"RequestId": change["Id"]})["RequestedQuota"]
    assert found["Status"] == "APPROVED"
    assert api.call("GetServiceQuota", asked)["Quota"]["Value"] == 2
    stage.call("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    assert stage.settled("e")["EndpointStatus"] == "InService"
    with pytest.raises(AwsError, match="does not exist") as caught:
        api.call("GetServiceQuota", asked | {"QuotaCode": "L-0"})
    assert caught.value.code == "NoSuchResourceException"


def test_an_ended_endpoint_frees_its_instances(stage: Stage) -> None:
    set_quotas(stage, endpoint=1)
    stage.config("broken", BROKEN="no model")
    stage.call("CreateEndpoint", EndpointName="broken", EndpointConfigName="broken")
    assert stage.settled("broken")["EndpointStatus"] == "Failed"
    stage.serve("e")
    stage.call("DeleteEndpoint", EndpointName="e")
    eventually(lambda: len(stage.call("ListEndpoints")["Endpoints"]) == 1)
    stage.call("CreateEndpoint", EndpointName="again", EndpointConfigName="e")
    assert stage.settled("again")["EndpointStatus"] == "InService"

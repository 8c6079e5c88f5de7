"""The Describe operations of jobs give what AWS adds to a request, because clients count on it."""

from typing import Any

from localcloud.sagemaker import descriptions
from tests.unit.localcloud.stage import ROLE, Stage, channel, training_request
from tests.unit.localcloud.test_processing_jobs import output
from tests.unit.localcloud.test_processing_jobs import request as processing_request
from tests.unit.localcloud.test_tuning import request as tuning_request


def described(stage: Stage, kind: str, request: dict[str, Any]) -> dict[str, Any]:
    stage.call(f"Create{kind}", **request)
    name = f"{kind}Name"
    return stage.call(f"Describe{kind}", **{name: request[name]})


def test_a_training_job_has_what_the_sdk_reads_to_attach_to_it(stage: Stage) -> None:
    job = described(stage, "TrainingJob", training_request("t"))
    assert job["OutputDataConfig"] == {
        "S3OutputPath": "s3://loupe/out/",
        "KmsKeyId": "",
        "CompressionType": "GZIP",
    }
    source = channel()["DataSource"]["S3DataSource"] | {"S3DataDistributionType": "FullyReplicated"}
    assert job["InputDataConfig"] == [
        {
            "ChannelName": "train",
            "DataSource": {"S3DataSource": source},
            "CompressionType": "None",
            "RecordWrapperType": "None",
        }
    ]
    assert job["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] is True
    assert job["ProfilingStatus"] == "Disabled"
    switches = ("NetworkIsolation", "InterContainerTrafficEncryption", "ManagedSpotTraining")
    assert [job[f"Enable{switch}"] for switch in switches] == [False, False, False]


def test_what_a_request_says_is_kept(stage: Stage) -> None:
    request = training_request(
        "t",
        AlgorithmSpecification={"TrainingImage": "i", "TrainingInputMode": "File"},
        OutputDataConfig={"S3OutputPath": "s3://loupe/out", "KmsKeyId": "alias/models"},
        EnableNetworkIsolation=True,
    )
    del request["InputDataConfig"]
    job = described(stage, "TrainingJob", request)
    assert job["OutputDataConfig"]["KmsKeyId"] == "alias/models"
    assert (job["EnableNetworkIsolation"], job["InputDataConfig"]) == (True, [])
    assert job["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] is False


def test_a_tuning_job_has_what_the_sdk_reads_to_attach_to_it(stage: Stage) -> None:
    request = tuning_request("t", {"epochs": "1"})
    definition = request["TrainingJobDefinition"]
    # The SDK 2 sends this member, and reads ResourceConfig.
    resources = definition.pop("ResourceConfig")
    definition["HyperParameterTuningResourceConfig"] = resources
    job = described(stage, "HyperParameterTuningJob", request)
    answered = job["TrainingJobDefinition"]
    assert answered["ResourceConfig"] == answered["HyperParameterTuningResourceConfig"] == resources
    assert answered["StaticHyperParameters"] == {"epochs": "1", "_tuning_objective_metric": "val:map"}
    assert answered["EnableManagedSpotTraining"] is False
    assert answered["InputDataConfig"][0]["CompressionType"] == "None"
    config = job["HyperParameterTuningJobConfig"]
    assert config["TrainingJobEarlyStoppingType"] == "Off"
    stage.call("StopHyperParameterTuningJob", HyperParameterTuningJobName="t")
    stage.ended("HyperParameterTuningJob", "t")


def test_children_run_on_the_first_of_several_instance_types() -> None:
    config = {
        "VolumeSizeInGB": 30,
        "InstanceConfigs": [
            {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 50},
            {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        ],
    }
    assert descriptions.child_resources({"HyperParameterTuningResourceConfig": config}) == {
        "InstanceType": "ml.g5.xlarge",
        "InstanceCount": 1,
        "VolumeSizeInGB": 50,
    }
    assert descriptions.child_resources({"RoleArn": ROLE}) is None


def test_ranges_of_a_tuning_job_have_a_scaling_type() -> None:
    ranges = {
        "IntegerParameterRanges": [{"Name": "a", "MinValue": "1", "MaxValue": "2"}],
        "ContinuousParameterRanges": [
            {"Name": "b", "MinValue": "1", "MaxValue": "2", "ScalingType": "Linear"}
        ],
        "CategoricalParameterRanges": [{"Name": "c", "Values": ["x"]}],
    }
    answered = descriptions.tuning_job(tuning_request("t", ParameterRanges=ranges))
    found = answered["HyperParameterTuningJobConfig"]["ParameterRanges"]
    assert [found[kind][0].get("ScalingType") for kind in ranges] == ["Auto", "Linear", None]
    del ranges["CategoricalParameterRanges"]
    answered = descriptions.tuning_job(tuning_request("t", ParameterRanges=ranges))
    found = answered["HyperParameterTuningJobConfig"]["ParameterRanges"]
    assert found["CategoricalParameterRanges"] == []


def test_inputs_and_outputs_of_a_processing_job_have_their_defaults(stage: Stage) -> None:
    request = processing_request("p")
    job = described(stage, "ProcessingJob", request)
    entry = job["ProcessingInputs"][0]
    assert entry["AppManaged"] is False
    assert entry["S3Input"]["S3CompressionType"] == "None"
    assert entry["S3Input"]["S3DataDistributionType"] == "FullyReplicated"
    assert job["ProcessingOutputConfig"]["Outputs"] == [output() | {"AppManaged": False}]

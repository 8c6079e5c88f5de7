"""What does not run on the local cloud is refused, and the message says what works instead."""

from typing import Any

import pytest

from localcloud.sagemaker import refusals
from localcloud.sagemaker.aws_errors import AwsError
from tests.unit.localcloud.stage import ROLE, Stage, channel, training_request
from tests.unit.localcloud.test_processing_jobs import request as processing_request
from tests.unit.localcloud.test_tuning import request as tuning_request

PUBLIC = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.0"
JUMPSTART = "s3://jumpstart-cache-prod-us-east-1/pytorch-training/train.tar.gz"


def refused(stage: Stage, operation: str, request: dict[str, Any], *words: str) -> None:
    with pytest.raises(AwsError) as caught:
        stage.call(operation, **request)
    assert caught.value.code == "ValidationException"
    for word in (*words, "What works: "):
        assert word in caught.value.message


# As the SDK 2 sends a script: quoted as JSON, and by a tuner or an estimator.
@pytest.mark.parametrize(
    "script",
    [{"sagemaker_program": '"train.py"'}, {"sagemaker_submit_directory": '"s3://loupe/source.tar.gz"'}],
)
def test_a_script_of_the_sdk_2_is_refused(stage: Stage, script: dict[str, str]) -> None:
    refused(stage, "CreateTrainingJob", training_request("t", script), "no scripts", *script)
    refused(stage, "CreateHyperParameterTuningJob", tuning_request("t", script), "no scripts", *script)
    assert stage.call("ListTrainingJobs") == {"TrainingJobSummaries": []}
    assert stage.call("ListHyperParameterTuningJobs") == {"HyperParameterTuningJobSummaries": []}


def test_what_the_sdk_2_says_of_itself_is_no_script(stage: Stage) -> None:
    named = {"sagemaker_estimator_class_name": '"Estimator"', "sagemaker_estimator_module": '"sagemaker"'}
    assert stage.trained("t", named)["TrainingJobStatus"] == "Completed"


def test_a_script_of_the_sdk_3_is_refused(stage: Stage) -> None:
    channels = [channel(name="code"), channel(name="sm_drivers")]
    algorithm = {
        "TrainingImage": "trainer:1",
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["/bin/bash"],
        "ContainerArguments": ["-c", "/opt/ml/input/data/sm_drivers/sm_train.sh"],
    }
    request = training_request("t", InputDataConfig=channels, AlgorithmSpecification=algorithm)
    refused(stage, "CreateTrainingJob", request, "no scripts", "sm_drivers", "source_code")


@pytest.mark.parametrize(
    "entry_point",
    [
        ["python3", "/opt/ml/processing/input/code/prepare.py"],
        ["/bin/bash", "/opt/ml/processing/input/entrypoint/runproc.sh"],
    ],
)
def test_a_script_for_a_processing_job_is_refused(stage: Stage, entry_point: list[str]) -> None:
    application = {"ImageUri": "trainer:1", "ContainerEntrypoint": entry_point}
    request = processing_request("p", AppSpecification=application)
    refused(stage, "CreateProcessingJob", request, "no scripts", "[python, -m, training.evaluate]")


def test_a_script_for_an_endpoint_is_refused(stage: Stage) -> None:
    container = {"Image": "i", "Environment": {"SAGEMAKER_PROGRAM": "inference.py"}}
    request = {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": container}
    refused(stage, "CreateModel", request, "no scripts", "SAGEMAKER_PROGRAM", "LOUPE_SERVING_IMAGE")
    # The SDK 2 sends them empty if there is no script.
    empty = {"SAGEMAKER_PROGRAM": "", "SAGEMAKER_SUBMIT_DIRECTORY": ""}
    stage.call("CreateModel", **request | {"PrimaryContainer": {"Image": "i", "Environment": empty}})


def test_images_of_aws_are_refused(stage: Stage) -> None:
    algorithm = {"TrainingImage": PUBLIC, "TrainingInputMode": "File"}
    refused(stage, "CreateTrainingJob", training_request("t", AlgorithmSpecification=algorithm), PUBLIC)
    application = processing_request("p")["AppSpecification"] | {"ImageUri": "public.ecr.aws/x/python:3"}
    refused(stage, "CreateProcessingJob", processing_request("p", AppSpecification=application), "public.ecr")
    model = {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": PUBLIC}}
    refused(stage, "CreateModel", model, PUBLIC)


def test_models_of_jumpstart_are_refused(stage: Stage) -> None:
    channels = [channel(), channel(JUMPSTART, name="model")]
    refused(
        stage, "CreateTrainingJob", training_request("t", InputDataConfig=channels), "JumpStart", "weights"
    )
    model = {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"ModelDataUrl": JUMPSTART}}
    refused(stage, "CreateModel", model, "JumpStart", "weights")
    request = training_request(
        "t", ServerlessJobConfig={"JobType": "FineTuning", "BaseModelArn": "arn:aws:x"}
    )
    with pytest.raises(AwsError, match=r"JumpStart \(ServerlessJobConfig\)"):
        refusals.check_training(request, "000000000000")


def test_what_an_endpoint_does_not_do_is_refused(stage: Stage) -> None:
    stage.config("m")
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    request = {"EndpointConfigName": "c", "ProductionVariants": [variant]}
    output = {"OutputConfig": {"S3OutputPath": "s3://loupe/async"}}
    refused(stage, "CreateEndpointConfig", request | {"AsyncInferenceConfig": output}, "CreateTransformJob")
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://loupe/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    refused(stage, "CreateEndpointConfig", request | {"DataCaptureConfig": capture}, "loupe inspections")
    stage.call("CreateEndpointConfig", **request | {"DataCaptureConfig": capture | {"EnableCapture": False}})


@pytest.mark.parametrize("path", ["async-invocations", "invocations-response-stream"])
def test_an_invocation_that_an_endpoint_does_not_answer_is_refused(path: str) -> None:
    with pytest.raises(AwsError, match="What works: InvokeEndpoint") as caught:
        refusals.check_invocation(f"/endpoints/e/{path}")
    assert caught.value.code == "ValidationError"
    refusals.check_invocation("/endpoints/e/invocations")


@pytest.mark.parametrize(
    ("operation", "word"),
    [
        ("ListContexts", "no lineage"),
        ("CreateTrialComponent", "no experiments"),
        ("DescribeHubContent", "JumpStart"),
        ("CreateInferenceComponent", "one model"),
        ("CreatePipeline", "loupe retrain"),
        ("CreateCluster", "does not have sagemaker:CreateCluster yet"),
    ],
)
def test_an_operation_that_is_not_there_says_what_works(operation: str, word: str) -> None:
    error = refusals.unknown_operation(operation)
    assert error.code == "UnknownOperationException"
    assert operation in error.message
    assert word in error.message
    assert "What works: " in error.message

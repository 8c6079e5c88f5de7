"""SageMaker's control plane without servers: what it accepts, refuses, stores and lists."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.sagemaker import SageMaker
from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.services import Services
from localcloud.sagemaker.store import Store

ROLE = "arn:aws:iam::000000000000:role/model"
DATA = "s3://artefacts/models/1/model.tar.gz"
CONTAINER = {"Image": "detector:1", "ModelDataUrl": DATA}


class FakeRoles:
    """A role that may read every object that exists."""

    region, account = "us-east-1", "000000000000"

    def environment(self, role_arn: str) -> dict[str, str]:
        return {}

    def client(self, service: str, role_arn: str) -> Any:
        return self

    def head_object(self, Bucket: str, Key: str) -> None:
        if f"s3://{Bucket}/{Key}" != DATA:
            raise ClientError({"ResponseMetadata": {"HTTPStatusCode": 404}}, "HeadObject")  # type: ignore[typeddict-item]


class NoAlarms:
    """CloudWatch without anything to watch."""

    def put(self, alarm: dict[str, Any]) -> None:
        raise AssertionError(alarm)

    def delete(self, names: list[str]) -> None:
        assert not names


def make_sagemaker(folder: Path) -> SageMaker:
    roles: Any = FakeRoles()
    services = Services(lambda *point: None, NoAlarms(), lambda repository, digest: None)
    return SageMaker(folder, folder, folder, roles, services, folder / "quotas.json")


@pytest.fixture
def sagemaker(tmp_path: Path) -> SageMaker:
    return make_sagemaker(tmp_path)


def create_model(sagemaker: SageMaker, name: str = "m", **members: Any) -> dict[str, Any]:
    request = {"ModelName": name, "PrimaryContainer": CONTAINER, "ExecutionRoleArn": ROLE, **members}
    return sagemaker.call("CreateModel", request)


def create_config(sagemaker: SageMaker, *models: str) -> dict[str, Any]:
    variants = [
        {
            "VariantName": f"v{i}",
            "ModelName": model,
            "InstanceType": "ml.g5.xlarge",
            "InitialInstanceCount": 1,
            "InferenceAmiVersion": "al2-ami-sagemaker-inference-gpu-3-1",
        }
        for i, model in enumerate(models)
    ]
    return sagemaker.call("CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": variants})


def refusal(sagemaker: SageMaker, operation: str, request: dict[str, Any]) -> AwsError:
    with pytest.raises(AwsError) as caught:
        sagemaker.call(operation, request)
    return caught.value


def test_a_model_is_remembered_across_restarts(sagemaker: SageMaker, tmp_path: Path) -> None:
    assert create_model(sagemaker) == {"ModelArn": "arn:aws:sagemaker:us-east-1:000000000000:model/m"}
    again = make_sagemaker(tmp_path)
    described = again.call("DescribeModel", {"ModelName": "m"})
    assert described["PrimaryContainer"] == CONTAINER | {"Mode": "SingleModel"}
    assert described["EnableNetworkIsolation"] is False


def test_a_name_can_be_used_once(sagemaker: SageMaker) -> None:
    create_model(sagemaker)
    error = refusal(
        sagemaker, "CreateModel", {"ModelName": "m", "PrimaryContainer": CONTAINER, "ExecutionRoleArn": ROLE}
    )
    assert (error.code, error.status) == ("ValidationException", 400)
    assert error.message == (
        'Cannot create already existing model "arn:aws:sagemaker:us-east-1:000000000000:model/m".'
    )


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        ("CreateModel", {}, "ModelName"),
        ("CreateModel", {"ModelName": "a b"}, "regular expression pattern"),
        ("CreateModel", {"ModelName": "m" * 64}, "length less than or equal to 63"),
        ("CreateModel", {"ModelName": "m", "Typo": 1}, "Typo"),
        ("CreateModel", {"ModelName": "m", "PrimaryContainer": CONTAINER}, "ExecutionRoleArn"),
        ("CreateModel", {"ModelName": "m", "PrimaryContainer": {"Image": 1}}, "Image"),
        ("ListEndpoints", {"StatusEquals": "Asleep"}, "enum value set"),
        ("CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": []}, "ProductionVariants"),
        (
            "CreateEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "c"},
            "Could not find endpoint config",
        ),
        ("UpdateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, "Could not find endpoint "),
        ("DescribeEndpoint", {"EndpointName": "e"}, "Could not find endpoint "),
        ("DeleteModel", {"ModelName": "m"}, "Could not find model "),
    ],
)
def test_a_wrong_request_is_a_validation_exception(
    sagemaker: SageMaker, operation: str, request_: dict[str, Any], message: str
) -> None:
    error = refusal(sagemaker, operation, request_)
    assert error.code == "ValidationException"
    assert message in error.message


def test_missing_model_data_is_reported(sagemaker: SageMaker) -> None:
    with pytest.raises(AwsError, match="Could not find model data at s3://artefacts/none"):
        create_model(sagemaker, PrimaryContainer={"Image": "i", "ModelDataUrl": "s3://artefacts/none"})


def test_what_the_local_cloud_cannot_do_is_refused_not_ignored(sagemaker: SageMaker) -> None:
    create_model(sagemaker)
    with pytest.raises(AwsError, match="exactly one production variant"):
        create_config(sagemaker, "m", "m")
    with pytest.raises(AwsError, match="exactly one container"):
        create_model(sagemaker, "two", PrimaryContainer=CONTAINER, Containers=[CONTAINER, CONTAINER])
    with pytest.raises(AwsError, match="does not have sagemaker:CreateCluster yet"):
        sagemaker.call("CreateCluster", {})
    assert refusal(sagemaker, "CreateNothing", {}).code == "UnknownOperationException"


def test_an_endpoint_config_needs_its_model(sagemaker: SageMaker) -> None:
    with pytest.raises(AwsError, match=r'Could not find model "arn.*:model/m"'):
        create_config(sagemaker, "m")
    create_model(sagemaker)
    create_config(sagemaker, "m")
    description = sagemaker.call("DescribeEndpointConfig", {"EndpointConfigName": "c"})
    assert description["ProductionVariants"][0]["InferenceAmiVersion"].startswith("al2")
    assert description["ProductionVariants"][0]["InitialVariantWeight"] == 1.0
    sagemaker.call("DeleteEndpointConfig", {"EndpointConfigName": "c"})
    assert sagemaker.call("ListEndpointConfigs", {}) == {"EndpointConfigs": []}


def test_lists_are_paged_newest_first_and_filtered(sagemaker: SageMaker) -> None:
    for name in ("a1", "a2", "b1"):
        create_model(sagemaker, name)
    first = sagemaker.call("ListModels", {"MaxResults": 2})
    assert [model["ModelName"] for model in first["Models"]] == ["b1", "a2"]
    assert set(first["Models"][0]) == {"ModelName", "ModelArn", "CreationTime"}
    rest = sagemaker.call("ListModels", {"MaxResults": 2, "NextToken": first["NextToken"]})
    assert [model["ModelName"] for model in rest["Models"]] == ["a1"]
    assert "NextToken" not in rest
    named = sagemaker.call("ListModels", {"NameContains": "a", "SortBy": "Name", "SortOrder": "Ascending"})
    assert [model["ModelName"] for model in named["Models"]] == ["a1", "a2"]


def test_an_unknown_endpoint_and_a_large_body_are_refused_as_on_aws(sagemaker: SageMaker) -> None:
    with pytest.raises(AwsError, match="Endpoint e of account 000000000000 not found") as unknown:
        sagemaker.invoke("e", b"", {})
    assert (unknown.value.code, unknown.value.status) == ("ValidationError", 400)
    with pytest.raises(AwsError, match="6291456") as large:
        sagemaker.invoke("e", b"x" * 6_291_457, {})
    assert large.value.status == 413


def test_a_store_survives_a_restart_and_hands_out_copies(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.json")
    store.put("Model", "m", {"a": 1, "b": 2})
    store.change("Model", "m", a=3, b=None)
    store.change("Model", "nobody", a=3)
    record = store.get("Model", "m")
    assert record == {"a": 3}
    record["a"] = 4
    assert Store(tmp_path / "s.json").all("Model") == [{"a": 3}]
    assert store.change_if("Model", "m", "a", 3, a=5)
    assert not store.change_if("Model", "m", "a", 3, a=6)
    assert not store.change_if("Model", "nobody", "a", None, a=6)
    assert not store.add("Model", "m", {})
    assert store.get("Model", "m") == {"a": 5}
    assert store.delete("Model", "m")
    assert not store.delete("Model", "m")
    assert Store(tmp_path / "s.json").get("Model", "m") is None


ARN = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.mark.parametrize(
    ("operation", "request_", "resource"),
    [
        ("CreateTrainingJob", {"TrainingJobName": "A"}, f"{ARN}:training-job/a"),
        ("StopProcessingJob", {"ProcessingJobName": "p"}, f"{ARN}:processing-job/p"),
        ("CreateModel", {"ModelName": "m"}, f"{ARN}:model/m"),
        (
            "DescribeModelPackage",
            {"ModelPackageName": f"{ARN}:model-package/g/1"},
            f"{ARN}:model-package/g/1",
        ),
        ("UpdateModelPackage", {"ModelPackageArn": f"{ARN}:model-package/g/1"}, f"{ARN}:model-package/g/1"),
        ("CreateModelPackage", {"ModelPackageGroupName": "g"}, f"{ARN}:model-package/g/*"),
        ("ListModelPackages", {"ModelPackageGroupName": "g"}, f"{ARN}:model-package/g/*"),
        ("DeleteModelPackageGroup", {"ModelPackageGroupName": "g"}, f"{ARN}:model-package-group/g"),
        (
            "ListTrainingJobsForHyperParameterTuningJob",
            {"HyperParameterTuningJobName": "t"},
            f"{ARN}:hyper-parameter-tuning-job/t",
        ),
        ("UpdateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, f"{ARN}:endpoint/e"),
        ("CreateEndpointConfig", {"EndpointConfigName": "c"}, f"{ARN}:endpoint-config/c"),
        ("AddTags", {"ResourceArn": f"{ARN}:training-job/a"}, f"{ARN}:training-job/a"),
        ("ListTrainingJobs", {"NameContains": "a"}, "*"),
        ("CreateTrainingJob", {"TrainingJobName": 1}, "*"),
    ],
)
def test_policies_are_compared_with_the_most_specific_resource(
    sagemaker: SageMaker, operation: str, request_: dict[str, Any], resource: str
) -> None:
    assert sagemaker.resource(operation, request_) == resource


def test_a_wrong_number_of_jobs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOUPE_LOCAL_JOBS", "0")
    with pytest.raises(ValueError, match="LOUPE_LOCAL_JOBS must be a whole number of at least 1, not '0'"):
        make_sagemaker(tmp_path)


def test_an_endpoint_configuration_names_a_host_image_that_exists(sagemaker: SageMaker) -> None:
    create_model(sagemaker)
    variant = {
        "VariantName": "v",
        "ModelName": "m",
        "InstanceType": "ml.g5.xlarge",
        "InitialInstanceCount": 1,
        "InferenceAmiVersion": "al2023-ami-sagemaker-inference-gpu-9-9",
    }
    request = {"EndpointConfigName": "c", "ProductionVariants": [variant]}
    error = refusal(sagemaker, "CreateEndpointConfig", request)
    assert "satisfy enum value set" in error.message
    assert "al2023-ami-sagemaker-inference-gpu-4-1" in error.message

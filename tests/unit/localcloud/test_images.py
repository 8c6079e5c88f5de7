"""Images in the account's own ECR: what SageMaker refuses, and what a container of another processor does."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud.sagemaker.aws_errors import AwsError
from tests.unit.localcloud.stage import ROLE, MotoRoles, Stage, training_request

REPOSITORY = "trial/serve"
ACCOUNT = "123456789012"  # moto's
URI = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/{REPOSITORY}"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "sha256:" + "c" * 64


@pytest.fixture(autouse=True)
def repository(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MotoRoles, "account", ACCOUNT)
    boto3.client("ecr", region_name="us-east-1").create_repository(repositoryName=REPOSITORY)


def push(tag: str, kind: str = DOCKER) -> str:
    """Push an image of a kind, and return its URI."""
    manifest: dict[str, Any] = {"schemaVersion": 2, "mediaType": kind}
    if kind == INDEX:
        manifest["manifests"] = []
    else:
        config = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 1, "digest": CONFIG}
        manifest |= {"config": config, "layers": []}
    boto3.client("ecr", region_name="us-east-1").put_image(
        repositoryName=REPOSITORY,
        imageManifest=json.dumps(manifest),
        imageManifestMediaType=kind,
        imageTag=tag,
    )
    return f"{URI}:{tag}"


def create_model(stage: Stage, image: str, name: str = "m") -> None:
    stage.call("CreateModel", ModelName=name, PrimaryContainer={"Image": image}, ExecutionRoleArn=ROLE)


def deny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the role be denied what it asks of ECR."""
    client = MotoRoles.client

    class Denied:
        def batch_get_image(self, **request: Any) -> None:
            error: Any = {"Error": {"Code": "AccessDeniedException", "Message": "denied"}}
            raise ClientError(error, "BatchGetImage")

    monkeypatch.setattr(
        MotoRoles,
        "client",
        lambda self, service, role: Denied() if service == "ecr" else client(self, service, role),
    )


@pytest.mark.parametrize("kind", [OCI, INDEX])
def test_a_model_takes_no_image_with_an_oci_manifest(stage: Stage, kind: str) -> None:
    uri = push("1", kind)
    with pytest.raises(AwsError) as caught:
        create_model(stage, uri)
    assert caught.value.code == "ValidationException"
    assert caught.value.message == (
        f"Unsupported manifest media type {kind} for image {uri}. Ensure that valid manifest media type is used "
        "for specified image."
    )


def test_a_model_needs_an_image_that_exists(stage: Stage) -> None:
    uri = push("1")
    create_model(stage, uri)
    for missing in (uri.replace(":1", ":2"), uri.replace("serve", "none"), f"{uri[:-2]}@{CONFIG}"):
        with pytest.raises(AwsError, match=r"^ValidationException: Requested image .* not found"):
            create_model(stage, missing, "other")
    # This one cannot be looked up.
    create_model(stage, "loupe/serve:local", "local")


def test_a_job_needs_an_image_that_its_role_may_pull(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = push("1", INDEX)
    algorithm = {"TrainingImage": uri.replace("serve", "none"), "TrainingInputMode": "File"}
    request = training_request("t", AlgorithmSpecification=algorithm)
    with pytest.raises(AwsError, match="Cannot find repository: trial/none in registry ID: 123456789012"):
        stage.call("CreateTrainingJob", **request)
    deny(monkeypatch)
    process = {"ImageUri": uri, "ContainerEntrypoint": ["python", "-m", "training.process"]}
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
    with pytest.raises(AwsError, match=r"Access denied for repository: trial/serve .*ecr:BatchGetImage"):
        stage.call(
            "CreateProcessingJob",
            ProcessingJobName="p",
            RoleArn=ROLE,
            AppSpecification=process,
            ProcessingResources={"ClusterConfig": cluster},
        )


def test_an_image_for_another_processor_fails_the_job_as_its_log_says(stage: Stage) -> None:
    stage.layers[CONFIG] = json.dumps({"architecture": "arm64", "os": "linux"}).encode()
    algorithm = {"TrainingImage": push("1"), "TrainingInputMode": "File"}
    ended = stage.trained("t", AlgorithmSpecification=algorithm)
    assert (ended["TrainingJobStatus"], ended["FailureReason"]) == (
        "Failed",
        "AlgorithmError: , exit code: 1",
    )
    assert "exec format error: the image is for linux/arm64" in stage.log("t")


def test_an_endpoint_starts_only_an_image_of_its_processor_that_its_role_may_pull(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from localcloud.sagemaker.hosting.fleets import Fleet
    from localcloud.sagemaker.hosting.model_server import ServerError

    stage.layers[CONFIG] = json.dumps({"architecture": "arm64", "os": "linux"}).encode()
    plan = {"image": push("1"), "variant": "AllTraffic", "instance_type": "ml.m5.large"}
    fleet = Fleet("e", plan, stage.folder, stage.cloud._training.records.machine)
    with pytest.raises(ServerError, match="AllTraffic did not pass the ping health check: exec format error"):
        fleet._check_image(ROLE)
    fleet.plan = plan | {"instance_type": "ml.c7g.large"}
    fleet._check_image(ROLE)
    deny(monkeypatch)
    with pytest.raises(ServerError, match="execution role used to create the model has permissions"):
        fleet._check_image(ROLE)

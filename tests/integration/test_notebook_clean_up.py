"""The notebook's clean-up and its search for earlier jobs, on moto: from any state, and nothing of anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

import cleaning
import jobs
from place import Place

BUCKET, GROUP = "artefacts", "loupe-group"
ROLE = "arn:aws:iam::123456789012:role/train"


class Session:
    """What the clean-up needs of the SDK's session."""

    default_bucket_prefix = "sagemaker"

    def __init__(self) -> None:
        self.boto_session = boto3.Session(region_name="us-east-1")
        self.sagemaker_client: Any = self.boto_session.client("sagemaker")

    def default_bucket(self) -> str:
        return BUCKET


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Place]:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        variables = {"AWS_ENDPOINT_URL": "moto", "LOUPE_MODEL_PACKAGE_GROUP": GROUP}
        place = Place(("--local",), "mine", tmp_path / "files" / "mine", variables, Session())
        place.s3.create_bucket(Bucket=BUCKET)
        place.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        place.sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
        yield place


def host(here: Place, name: str, *, endpoint: bool = True, configuration: bool = True) -> None:
    client = here.sagemaker
    client.create_model(
        ModelName=name, PrimaryContainer={"Image": "i", "ModelDataUrl": "s3://m"}, ExecutionRoleArn=ROLE
    )
    if configuration:
        variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large"}
        client.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant | {"InitialInstanceCount": 1}]
        )
    if endpoint:
        client.create_endpoint(EndpointName=name, EndpointConfigName=name)


def train(here: Place, name: str, output: str = "s3://artefacts/sagemaker/mine-x") -> None:
    here.sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": "i", "TrainingInputMode": "File"},
        RoleArn=ROLE,
        OutputDataConfig={"S3OutputPath": output},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )


def test_from_any_state_of_hosting_everything_goes(here: Place) -> None:
    """GIVEN deployments that were interrupted after each step WHEN cleaning up THEN all of their parts are deleted."""
    host(here, "mine-whole")
    host(here, "mine-config", endpoint=False)
    host(here, "mine-model", endpoint=False, configuration=False)

    report = cleaning.clean_up(here)

    assert not any(cleaning.names(here, kind) for kind in ("endpoints", "endpoint_configs", "models"))
    assert len(report.deleted) == 6
    assert "nothing to delete" in str(cleaning.clean_up(here))


def test_what_others_have_created_stays(here: Place) -> None:
    host(here, "mine2-model")
    host(here, "loupe-detector")
    here.s3.put_object(Bucket=BUCKET, Key="sagemaker/mine2-data/a", Body=b"a")
    here.s3.put_object(Bucket=BUCKET, Key="models/champion/model.tar.gz", Body=b"a")

    cleaning.clean_up(here)

    endpoints = here.sagemaker.list_endpoints()["Endpoints"]
    assert {endpoint["EndpointName"] for endpoint in endpoints} == {"mine2-model", "loupe-detector"}
    assert here.s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 2


def test_all_versions_of_the_objects_go_and_the_files(here: Place) -> None:
    for body in (b"first", b"second"):
        here.s3.put_object(Bucket=BUCKET, Key="sagemaker/mine-data/a", Body=body)
    here.s3.delete_object(Bucket=BUCKET, Key="sagemaker/mine-data/a")
    here.folder.mkdir(parents=True)

    report = cleaning.clean_up(here)

    assert list(cleaning.versions(here)) == []
    assert not here.folder.parent.exists()
    assert "3 objects below s3://artefacts/sagemaker/mine-" in str(report)


def test_the_champion_stays_and_is_named(here: Place) -> None:
    here.sagemaker.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"notebook": "mine"},
    )

    assert f"version 1 of {GROUP}: the champion" in cleaning.clean_up(here).left


def test_a_finished_job_is_found_again_as_long_as_its_model_is_there(here: Place) -> None:
    """GIVEN a training of an earlier run WHEN the clean-up has deleted its model THEN the job is run again."""
    train(here, "mine-ssd-0123-1")
    uri = jobs.artefact(here, jobs.Job("TrainingJob", "mine-ssd-0123-1"))
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    here.s3.put_object(Bucket=bucket, Key=key, Body=b"model")

    found = jobs._earlier(here, "TrainingJob", "mine-ssd-0123-")
    cleaning.clean_up(here)

    assert found == jobs.Job("TrainingJob", "mine-ssd-0123-1", again=True)
    assert jobs._earlier(here, "TrainingJob", "mine-ssd-0123-") is None


def test_a_name_that_a_job_without_results_has_used_is_not_used_again(here: Place) -> None:
    train(here, "mine-ssd-0123")

    assert jobs._named(here, "TrainingJob", "mine-ssd-0123", lambda free: None).name == "mine-ssd-0123-2"


def test_waiting_ends_with_the_reason_of_a_job_that_did_not_complete(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(here, "mine-ssd-0123")
    describe = here.sagemaker.describe_training_job

    def failed(**arguments: str) -> dict[str, Any]:
        return describe(**arguments) | {"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: no"}

    monkeypatch.setattr(here.sagemaker, "describe_training_job", failed)

    with pytest.raises(jobs.NotebookError, match=r"SSD: mine-ssd-0123 did not complete: AlgorithmError: no"):
        jobs.wait(here, {"SSD": jobs.Job("TrainingJob", "mine-ssd-0123")})

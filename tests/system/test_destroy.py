"""Away without a trace: what belongs to a stack goes, whatever happens on the way; another stack keeps all it has."""

import copy
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud import Connection, connection, deploy
from localcloud.sources import REPOSITORY
from loupe.account import destroy, inventory
from loupe.account.account import Account
from loupe.account.destroy import Result
from loupe.errors import LoupeError
from loupe.stack import deployment
from tests.system.account_listing import listing
from tests.system.cloud_process import eventually
from tests.system.test_chain import loupe

pytestmark = pytest.mark.system

_CHANGES = ("Delete", "Stop", "Deregister", "Abort")
_DIMENSION = "sagemaker:variant:DesiredInstanceCount"


class AbortError(Exception):
    """The process ended here."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty local cloud, in which the stack `plant-2` has some of everything."""
    folder = tmp_path_factory.mktemp("account")
    started = loupe("up", "--empty", "--detach", home=folder)
    assert started.returncode == 0, started.stderr
    create_stack(folder, "plant-2")
    other = account(folder, "plant-2")
    fill(other)
    # SageMaker's, for the jobs of the whole account.
    other.client("logs").create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
    yield folder
    loupe("down", home=folder)


@functools.cache
def clients(home: Path) -> dict[str, Any]:
    """Return the clients of all accounts of a test: they take long to make."""
    return {}


@functools.cache
def account(home: Path, stack: str) -> Account:
    found = Account.open(stack, home)
    found.__dict__["_clients"] = clients(home)
    return found


def create_stack(home: Path, name: str) -> None:
    cloud: Connection = copy.copy(connection(home))
    cloud.stack_name = name
    deploy.deploy(cloud, REPOSITORY, {})


def fill(account: Account, *, endpoint: bool = False, job: bool = False) -> None:
    """Put into an account what Loupe puts there around a stack."""
    target, s3, sagemaker = account.target(), account.client("s3"), account.client("sagemaker")
    if endpoint:
        deployment.deploy(target, deployment.STARTER, deployment.Hosting(), lambda status: None)
        _scale(account, target.outputs["EndpointName"])
    images, artefacts = target.outputs["ImagesBucketName"], target.outputs["ArtefactsBucketName"]
    for content in (b"first", b"second"):
        s3.put_object(Bucket=images, Key="kept/image.jpg", Body=content)
    s3.delete_object(Bucket=images, Key="kept/image.jpg")
    s3.create_multipart_upload(Bucket=images, Key="kept/unfinished.tif")
    bucket = account.name("deploy")
    if bucket not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=f"{account.stack}/package.zip", Body=b"zip")
    account.client("ecr").create_repository(repositoryName=account.name("serve"))
    role = target.outputs["SageMakerRoleArn"]
    # Longer than the endpoint of another stack may be, and named like one of its models.
    container = {"Image": "loupe/serve:local", "ModelDataUrl": f"s3://{artefacts}/models/1/model.tar.gz"}
    model = f"{target.outputs['EndpointName']}-2-detector-1"
    s3.put_object(Bucket=artefacts, Key="models/1/model.tar.gz", Body=b"archive")
    sagemaker.create_model(ModelName=model, PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {"VariantName": "AllTraffic", "ModelName": model, "InstanceType": "ml.g5.xlarge"}
    sagemaker.create_endpoint_config(
        EndpointConfigName=model, ProductionVariants=[variant | {"InitialInstanceCount": 1}]
    )
    sagemaker.create_model_package(
        ModelPackageGroupName=target.outputs["ModelPackageGroupName"],
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["image/jpeg"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )
    if job:
        _train(account, artefacts)


def _scale(account: Account, endpoint: str) -> None:
    client = account.client("application-autoscaling")
    scalable = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/AllTraffic",
        "ScalableDimension": _DIMENSION,
    }
    client.register_scalable_target(**scalable, MinCapacity=1, MaxCapacity=2)
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    client.put_scaling_policy(
        **scalable,
        PolicyName="invocations",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 600.0,
            "PredefinedMetricSpecification": metric,
        },
    )


def _train(account: Account, artefacts: str) -> None:
    """Start a training job, which fails, because its program gets no data."""
    roles = account.client("iam").get_paginator("list_roles").paginate()
    role = next(
        role["Arn"]
        for page in roles
        for role in page["Roles"]
        if role["RoleName"].startswith(f"{account.stack}-TrainingRole-")
    )
    stack_id = account.client("cloudformation").describe_stacks(StackName=account.stack)["Stacks"][0][
        "StackId"
    ]
    account.client("sagemaker").create_training_job(
        TrainingJobName=f"{stack_id.rpartition('/')[2].split('-')[0]}-20260101-a",
        RoleArn=role,
        AlgorithmSpecification={"TrainingImage": "loupe/train:local", "TrainingInputMode": "File"},
        OutputDataConfig={"S3OutputPath": f"s3://{artefacts}/models/"},
        ResourceConfig={"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )


def jobs_have_ended(account: Account) -> bool:
    jobs = account.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    return all(job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") for job in jobs)


def destroy_all(account: Account, data: bool = True) -> Result:
    plan = inventory.take(account)
    return destroy.destroy(account, plan, data=data, on_step=lambda step: None, on_deleted=lambda item: None)


def aborting(account: Account) -> dict[str, int]:
    """Let an account's clients end the process at a call that changes something: before it, or before its answer.

    Returns:
        How many calls are left until then; 0 for no end.
    """
    left = {"before-call": 0, "after-call": 0}

    def count(model: Any, event_name: str, **_: Any) -> None:
        moment = event_name.split(".")[0]
        if model.name.startswith(_CHANGES):
            left[moment] -= 1
            if left[moment] == 0:
                raise AbortError(model.name)

    # The inventory makes the clients that a destruction needs.
    inventory.take(account)
    for client in account._clients.values():
        client.meta.events.register("before-call", count)
        client.meta.events.register("after-call", count)
    return left


@pytest.mark.parametrize("stride", [pytest.param(2, marks=pytest.mark.slow), 6])
def test_an_aborted_destruction_is_repeated_until_nothing_is_left_and_spares_the_other_stacks(
    home: Path, stride: int
) -> None:
    other = account(home, "plant-2")
    if stride == 2:
        _train(other, other.target().outputs["ArtefactsBucketName"])
        eventually(lambda: jobs_have_ended(other))
    before = listing(other.client)
    create_stack(home, "plant")
    fill(account(home, "plant"), endpoint=stride == 2, job=True)
    plant = account(home, "plant")
    left = aborting(plant)
    aborted = []
    for step in range(200):
        # In turn: the last change is made and its answer is lost; the last change is not made.
        lost = step % 2 == 0
        left.update({"before-call": 0 if lost else stride + 1, "after-call": stride if lost else 0})
        try:
            result = destroy_all(plant)
            break
        except AbortError as error:
            aborted.append(str(error))
    assert len(aborted) >= 12 // stride, aborted
    assert result.problems == []
    assert (result.left.items, result.left.unseen) == ([], [])
    assert listing(other.client) == before
    left.update({"before-call": 0, "after-call": 0})
    again = destroy_all(plant)
    assert (again.deleted, again.left.items) == ([], [])


@pytest.mark.slow
def test_data_stays_unless_it_is_asked_for_and_is_found_again_after_a_second_stack_of_that_name(
    home: Path,
) -> None:
    plant, before = account(home, "plant"), listing(account(home, "plant").client)
    for _ in range(2):
        create_stack(home, "plant")
        plant.client("s3").put_object(
            Bucket=plant.target().outputs["ImagesBucketName"], Key="kept/image.jpg", Body=b"image"
        )
        destroy_all(plant, data=False)
    kept = inventory.take(plant)
    assert kept.going(data=False) == []
    assert {item.kind for item in kept.items} == {"bucket", "table", "user pool"}
    assert len([item for item in kept.items if item.kind == "bucket"]) == 6
    assert (
        sorted(item.text for item in kept.items if "-images-" in item.name)
        == ["1 version of objects, 5 bytes"] * 2
    )
    destroy_all(plant)
    assert listing(account(home, "plant").client) == before


@pytest.mark.slow
def test_the_command_lists_first_and_deletes_only_what_was_confirmed(home: Path) -> None:
    before = listing(account(home, "plant").client)
    create_stack(home, "plant")
    options = ("cloud", "destroy", "--stack", "plant", "--local", "--data")
    refused = loupe(*options, home=home)
    assert refused.returncode == 1
    assert "nobody can be asked" in refused.stderr
    assert "CREATE_COMPLETE, " in refused.stdout
    assert "CloudWatch's metrics, which nobody can delete" in refused.stdout
    assert "plant" in listing(account(home, "plant").client)["stacks"]
    done = loupe(*options, "--yes", "--json", home=home)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    kinds = {item["kind"] for item in answer["deleted"]}
    assert {"stack", "model package group", "bucket", "table", "user pool"} <= kinds
    assert listing(account(home, "plant").client) == before


def test_a_protected_stack_keeps_everything(home: Path) -> None:
    other = account(home, "plant-2")
    client = other.client("cloudformation")
    before = listing(other.client)
    client.update_termination_protection(StackName="plant-2", EnableTerminationProtection=True)
    with pytest.raises(LoupeError, match="protected from deletion"):
        destroy_all(other)
    client.update_termination_protection(StackName="plant-2", EnableTerminationProtection=False)
    assert listing(other.client) == before

"""Away without a trace: what belongs to a stack goes, whatever happens on the way; another stack keeps all it has."""

import copy
import functools
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from localcloud import Connection, deploy
from localcloud.sources import REPOSITORY
from loupe.account import destroy, inventory
from loupe.account.account import Account
from loupe.account.destroy import Result
from loupe.errors import LoupeError
from loupe.stack import deployment
from tests.system.account_listing import listing
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.test_chain import loupe

pytestmark = pytest.mark.system

_CHANGES = ("Delete", "Stop", "Deregister", "Abort")
_DIMENSION = "sagemaker:variant:DesiredInstanceCount"


class AbortError(Exception):
    """The process ended here."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    """A local cloud with the stacks `loupe` and `plant-2`, which has some of everything."""
    process = CloudProcess(tmp_path_factory.mktemp("account"), REPOSITORY)
    create_stack(process, "plant-2")
    other = account(process, "plant-2")
    fill(other)
    # SageMaker's, for the jobs of the whole account.
    other.client("logs").create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
    yield process
    process.stop()


@functools.cache
def account(cloud: CloudProcess, stack: str) -> Account:
    """Return the account of a stack; its clients take long to make."""
    return Account.open(stack, cloud.home)


def create_stack(cloud: CloudProcess, name: str) -> None:
    connection: Connection = copy.copy(cloud.connection)
    connection.stack_name = name
    deploy.deploy(connection, REPOSITORY, {})


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


def aborting(cloud: CloudProcess, stack: str) -> tuple[Account, dict[str, int]]:
    """Return an account whose process ends at a call that changes something: before it, or before its answer."""
    session = boto3.Session(
        aws_access_key_id=cloud.connection.access_key_id,
        aws_secret_access_key=cloud.connection.secret_access_key,
        region_name=cloud.connection.region,
    )
    left = {"before-call": 0, "after-call": 0}

    def count(model: Any, event_name: str, **_: Any) -> None:
        moment = event_name.split(".")[0]
        if model.name.startswith(_CHANGES):
            left[moment] -= 1
            if left[moment] == 0:
                raise AbortError(model.name)

    session.events.register("before-call", count)
    session.events.register("after-call", count)
    return Account(session, cloud.connection.endpoint_url, stack, cloud.home), left


@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 6])
def test_an_aborted_destruction_is_repeated_until_nothing_is_left_and_spares_the_other_stacks(
    cloud: CloudProcess, stride: int
) -> None:
    other = account(cloud, "plant-2")
    if stride == 1:
        _train(other, other.target().outputs["ArtefactsBucketName"])
        eventually(lambda: jobs_have_ended(other))
    before = listing(other.client)
    create_stack(cloud, "plant")
    fill(account(cloud, "plant"), endpoint=stride == 1, job=True)
    plant, left = aborting(cloud, "plant")
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
    cloud: CloudProcess,
) -> None:
    plant, before = account(cloud, "plant"), listing(account(cloud, "plant").client)
    for _ in range(2):
        create_stack(cloud, "plant")
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
    assert listing(account(cloud, "plant").client) == before


def test_the_command_lists_first_and_deletes_only_what_was_confirmed(cloud: CloudProcess) -> None:
    before = listing(account(cloud, "plant").client)
    create_stack(cloud, "plant")
    options = ("cloud", "destroy", "--stack", "plant", "--local", "--data")
    refused = loupe(*options, home=cloud.home)
    assert refused.returncode == 1
    assert "nobody can be asked" in refused.stderr
    assert "CREATE_COMPLETE, " in refused.stdout
    assert "CloudWatch's metrics, which nobody can delete" in refused.stdout
    assert "plant" in listing(account(cloud, "plant").client)["stacks"]
    done = loupe(*options, "--yes", "--json", home=cloud.home)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    kinds = {item["kind"] for item in answer["deleted"]}
    assert {"stack", "model package group", "bucket", "table", "user pool"} <= kinds
    assert listing(account(cloud, "plant").client) == before


def test_a_protected_stack_keeps_everything(cloud: CloudProcess) -> None:
    client, other = cloud.connection.client("cloudformation"), account(cloud, "plant-2")
    before = listing(other.client)
    client.update_termination_protection(StackName="plant-2", EnableTerminationProtection=True)
    with pytest.raises(LoupeError, match="protected from deletion"):
        destroy_all(other)
    client.update_termination_protection(StackName="plant-2", EnableTerminationProtection=False)
    assert listing(other.client) == before

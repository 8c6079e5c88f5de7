"""`loupe env` for programs of users: the file for the SDK, a version that a client registered, the logs of a model."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.clients.bench import REPOSITORY, Bench
from tests.system.cloud_process import eventually

pytestmark = pytest.mark.clients
STARTER = REPOSITORY / "models/starter/model.tar.gz"
SDKS = pytest.mark.parametrize("tool", ["sagemaker2", "notebook"])


@pytest.fixture
def client(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """boto3's clients with the variables of `loupe env` alone."""
    for name, value in bench.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(bench.folder))
    return lambda service: boto3.client(service)


def loupe(bench: Bench, *arguments: str) -> Any:
    """Run a command of `loupe` on the stack that the variables lead to, and return its JSON."""
    stack = ["--stack", bench.environment["LOUPE_STACK"], "--json"]
    return json.loads(
        bench.run([sys.executable, "-m", "loupe", *arguments, *stack], PYTHONPATH=str(REPOSITORY))
    )


@SDKS
def test_the_sdk_takes_bucket_prefix_and_roles_from_the_file_and_sends_no_telemetry(bench: Bench, tool: str):
    found = bench.script(tool, "sdk_session")
    ours = bench.environment
    assert (found["bucket"], found["prefix"]) == (ours["LOUPE_ARTEFACTS_BUCKET"], "sagemaker")
    assert found["quiet"] is True
    assert found["roles"] == {
        "trainer": ours["LOUPE_TRAINING_ROLE_ARN"],
        "processor": ours["LOUPE_TRAINING_ROLE_ARN"],
        "model": ours["LOUPE_SERVING_ROLE_ARN"],
    }
    assert not [name for name in found["buckets"] if name.startswith("sagemaker-")]
    # Only those of which docs/clients.md says so have left this machine, and nothing was read there.
    assert len(found["fixed"]) == 2
    reached = bench.reached_elsewhere()
    assert reached
    assert {line.split()[1] for line in reached} == {"sts.us-east-1.amazonaws.com"}


def test_a_version_that_a_client_registered_is_approved_and_served(
    bench: Bench, client: Callable[[str], Any], tmp_path: Path
):
    ours = bench.environment
    key = "sagemaker/by-boto3/model.tar.gz"
    client("s3").upload_file(str(STARTER), ours["LOUPE_ARTEFACTS_BUCKET"], key)
    container = {
        "Image": ours["LOUPE_SERVING_IMAGE"],
        "ModelDataUrl": f"s3://{ours['LOUPE_ARTEFACTS_BUCKET']}/{key}",
    }
    sagemaker = client("sagemaker")
    with_group = {"ModelPackageGroupName": ours["LOUPE_MODEL_PACKAGE_GROUP"]}
    try:
        sagemaker.create_model_package_group(**with_group)
    except ClientError as error:
        assert "already exists" in str(error)  # noqa: PT017 - another test may have made it
    arn = sagemaker.create_model_package(
        **with_group,
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["image/jpeg"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )["ModelPackageArn"]
    number = arn.rpartition("/")[2]
    (waiting,) = [version for version in loupe(bench, "models")["versions"] if version["arn"] == arn]
    assert waiting["status"] == "PendingManualApproval"
    assert loupe(bench, "approve", number)["answer"] == "approved"
    assert loupe(bench, "rollback", number)["version"] == int(number)
    (serving,) = [version for version in loupe(bench, "models")["versions"] if version["arn"] == arn]
    assert (serving["status"], serving["serving"]) == ("Approved", True)
    picture = (REPOSITORY / "samples/line-2/bottom/SN1003.jpg").read_bytes()
    answer = client("sagemaker-runtime").invoke_endpoint(
        EndpointName=ours["LOUPE_ENDPOINT"], ContentType="image/jpeg", Body=picture
    )
    assert json.load(answer["Body"])["detections"] is not None


def test_the_log_group_that_an_error_names_has_what_the_container_says(
    bench: Bench, client: Callable[[str], Any]
):
    ours, name = bench.environment, "of-a-client"
    sagemaker = client("sagemaker")
    client("s3").upload_file(str(STARTER), ours["LOUPE_ARTEFACTS_BUCKET"], "sagemaker/own/model.tar.gz")
    container = {
        "Image": ours["LOUPE_SERVING_IMAGE"],
        "ModelDataUrl": f"s3://{ours['LOUPE_ARTEFACTS_BUCKET']}/sagemaker/own/model.tar.gz",
    }
    role = ours["LOUPE_TRAINING_ROLE_ARN"]
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": 1}
    variant["InstanceType"] = ours["LOUPE_HOSTING_INSTANCE_TYPE"]
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})
    try:
        with pytest.raises(ClientError, match="unsupported_format") as refused:
            client("sagemaker-runtime").invoke_endpoint(
                EndpointName=name, ContentType="image/jpeg", Body=b"no picture"
            )
        group = str(refused.value).partition("logEventViewer:group=")[2].split()[0]
        # At once, whether or not the container has printed anything.
        assert client("logs").describe_log_streams(logGroupName=group)["logStreams"]
        command = ("logs", "filter-log-events", "--log-group-name", group)
        eventually(lambda: "unsupported_format" in bench.aws(*command))
    finally:
        sagemaker.delete_endpoint(EndpointName=name)
        sagemaker.delete_endpoint_config(EndpointConfigName=name)
        sagemaker.delete_model(ModelName=name)

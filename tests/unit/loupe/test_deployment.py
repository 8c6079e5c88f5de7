"""The endpoint switches to another model, container or instance type, and is scaled as the stack says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from loupe.errors import LoupeError
from loupe.stack import deployment, endpoint, scaling
from loupe.stack.deployment import STARTER, Hosting
from loupe.stack.rollback import rollback
from loupe.stack.scaling import Limits
from loupe.stack.target import Target
from tests.unit.loupe.account import RefusedError, answering
from tests.unit.loupe.conftest import OUTPUTS
from tests.unit.loupe.serving_stack import IMAGE, Stack

REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/loupe"
# moto knows these instance types, not the newer ones.
CPU, GPU = "ml.m5.xlarge", "ml.g4dn.xlarge"
SCALED = {
    "EndpointMinInstances": "2",
    "EndpointMaxInstances": "6",
    "InvocationsPerInstance": "900",
    "HostingInstanceType": GPU,
    "InferenceAmiVersion": "al2023-ami-sagemaker-inference-gpu-4-1",
    "ServingImageUri": f"{REGISTRY}/serve-gpu:1",
}
LIMITS = Limits(2, 6, 900)


@pytest.fixture
def line(stack: Target) -> Iterator[Stack]:
    """A stack whose outputs say how its endpoint is hosted and scaled."""
    line = Stack(replace(stack, outputs=OUTPUTS | SCALED))
    # Read at each request, so that a test can put another function there.
    with answering(line.target, "sagemaker", UpdateEndpoint=lambda request: line.update(request)):
        yield line


def deploy(stack: Stack, **hosting: Any) -> str:
    return deployment.deploy(stack.target, STARTER, Hosting.of(stack.target, **hosting), lambda _: None)


def config_of(stack: Stack) -> dict[str, Any]:
    current = endpoint.describe(stack.target)
    assert current is not None
    variant: dict[str, Any] = current.config["ProductionVariants"][0]
    return variant


def test_without_options_the_endpoint_is_what_the_stack_was_deployed_with(line: Stack) -> None:
    model = deploy(line)
    described = line.target.sagemaker.describe_model(ModelName=model)
    assert described["PrimaryContainer"]["Image"] == f"{REGISTRY}/serve-gpu:1"
    variant = config_of(line)
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == (GPU, 2)
    assert variant["InferenceAmiVersion"] == "al2023-ami-sagemaker-inference-gpu-4-1"


def test_another_instance_type_gets_the_host_image_that_it_needs() -> None:
    target = Target(None, None, OUTPUTS | SCALED)  # type: ignore[arg-type]
    assert Hosting.of(target, instance_type=CPU).inference_ami_version is None
    assert Hosting.of(target, instance_type="ml.g6.xlarge").inference_ami_version is not None
    chosen = Hosting.of(target, instance_type=CPU, inference_ami_version="my-own")
    assert chosen.inference_ami_version == "my-own"


@pytest.mark.promise(24)
@pytest.mark.parametrize(("kind", "wanted"), [("ml.m5.xlarge", "arn:key"), ("ml.g5.xlarge", None)])
def test_with_a_key_of_ones_own_the_endpoints_volumes_have_it_where_sagemaker_takes_it(
    kind: str, wanted: str | None
) -> None:
    target = Target(None, None, OUTPUTS | SCALED | {"EncryptionKeyArn": "arn:key"})  # type: ignore[arg-type]
    assert Hosting.of(target, instance_type=kind).config_request().get("KmsKeyId") == wanted
    plain = Target(None, None, OUTPUTS | SCALED)  # type: ignore[arg-type]
    assert "KmsKeyId" not in Hosting.of(plain, instance_type=kind).config_request()


def test_without_a_container_nothing_is_deployed_on_aws(stack: Target) -> None:
    with pytest.raises(LoupeError, match="serving container"):
        Hosting.of(stack)


def test_a_known_artefact_is_served_in_another_container(line: Stack) -> None:
    first = deploy(line)
    second = deploy(line, image_uri=f"{REGISTRY}/serve-gpu:2")
    assert second != first
    assert line.serves() == second
    model = line.target.sagemaker.describe_model(ModelName=second)
    assert model["PrimaryContainer"]["Image"].endswith(":2")
    assert deploy(line) == first


def test_each_deployment_registers_autoscaling(line: Stack) -> None:
    deploy(line)
    assert scaling.registered(line.target, "AllTraffic") == LIMITS
    scaling.deregister(line.target, "AllTraffic")
    assert scaling.registered(line.target, "AllTraffic") is None
    deploy(line, image_uri=f"{REGISTRY}/serve-gpu:2")
    assert scaling.registered(line.target, "AllTraffic") == LIMITS


def test_a_rollback_registers_autoscaling(line: Stack) -> None:
    line.register("a")
    line.register("b")
    line.serve("press-b")
    rollback(line.target, 1, False, lambda _: None)
    assert line.serves() == "press-a"
    assert scaling.registered(line.target, "Line") == LIMITS


def test_autoscaling_is_off_while_the_instance_type_changes_and_on_again_after_it(
    line: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(line)
    scaled_during_update = []
    switch = line.update

    def update(request: dict[str, Any]) -> dict[str, str]:
        scaled_during_update.append(scaling.registered(line.target, "AllTraffic"))
        return switch(request)

    monkeypatch.setattr(line, "update", update)
    deploy(line, image_uri=f"{REGISTRY}/serve:1", instance_type=CPU)
    assert scaling.registered(line.target, "AllTraffic") == LIMITS
    deploy(line, image_uri=f"{REGISTRY}/serve:2", instance_type=CPU)
    assert scaled_during_update == [None, LIMITS]


def test_an_update_that_fails_leaves_the_former_model_scaled(
    line: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = deploy(line)

    def refuse(_: dict[str, Any]) -> None:
        raise RefusedError("ValidationException", "no")

    monkeypatch.setattr(line, "update", refuse)
    with pytest.raises(ClientError, match="ValidationException"):
        deploy(line, image_uri=f"{REGISTRY}/serve:1", instance_type=CPU)
    assert line.serves() == former
    assert scaling.registered(line.target, "AllTraffic") == LIMITS


def test_a_quota_of_zero_ends_the_deployment_at_once_with_its_name(line: Stack) -> None:
    limit = (
        "The account-level service limit 'ml.g4dn.xlarge for endpoint usage' is 0 Instances, with current utilization "
        "of 0 Instances and a request delta of 2 Instances. Please contact AWS support to request an increase."
    )

    def refuse(_: dict[str, Any]) -> None:
        raise RefusedError("ResourceLimitExceeded", limit)

    with answering(line.target, "sagemaker", CreateEndpoint=refuse), pytest.raises(LoupeError) as refused:
        deploy(line)
    assert "is 0 Instances" in refused.value.message
    assert "'ml.g4dn.xlarge for endpoint usage'" in refused.value.hint


def test_a_stack_of_an_earlier_version_is_deployed_without_autoscaling(press: Stack) -> None:
    hosting = Hosting(IMAGE, GPU)
    deployment.deploy(press.target, STARTER, hosting, lambda _: None)
    assert scaling.registered(press.target, "AllTraffic") is None


@pytest.mark.parametrize(
    ("image", "instance_type", "problem"),
    [
        (f"{REGISTRY}/serve:1", GPU, "needs serve-gpu"),
        (f"{REGISTRY}-serve-gpu@sha256:{'0' * 64}", CPU, "needs serve"),
        (f"{REGISTRY}/serve:1", "ml.c7g.xlarge", "Arm"),
        (f"{REGISTRY}/serve-gpu:1", GPU, None),
        (f"{REGISTRY}/serve:1", CPU, None),
        (f"{REGISTRY}/of-my-own:1", GPU, None),
        ("loupe/serve:local", GPU, None),
    ],
)
def test_a_container_for_other_hardware_is_noticed_by_its_name(
    image: str, instance_type: str, problem: str | None
) -> None:
    found = Hosting(image, instance_type).unsuitable()
    assert (problem in found) if problem and found else found is problem

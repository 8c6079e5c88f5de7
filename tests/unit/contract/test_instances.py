"""Instance types: which image and host image they need, and which cannot run our images."""

import botocore.session
import pytest

from contract.instances import UnsuitableInstanceError, Use, host_image, instance, suitable_families

_LISTS: dict[Use, str] = {
    "endpoint": "ProductionVariantInstanceType",
    "training": "TrainingInstanceType",
    "processing": "ProcessingInstanceType",
}


def _enumeration(shape: str) -> list[str]:
    values: list[str] = botocore.session.get_session().get_service_model("sagemaker").shape_for(shape).enum
    return values


def test_an_endpoint_on_a_gpu_needs_the_gpu_image_and_the_host_image_with_its_driver() -> None:
    found = instance("ml.g5.xlarge", "endpoint")
    assert (found.gpu, found.serving_image) == ("A10G", "serve-gpu")
    assert found.host_image == "al2023-ami-sagemaker-inference-gpu-4-1"


def test_an_endpoint_without_a_gpu_needs_the_cpu_image_and_no_host_image() -> None:
    found = instance("ml.c6i.large", "endpoint")
    assert (found.gpu, found.serving_image, found.host_image) == (None, "serve", None)


@pytest.mark.parametrize(
    ("instance_type", "reason"),
    [
        ("ml.c6g.large", "Arm"),
        ("ml.m8g.xlarge", "Arm"),
        ("ml.inf2.xlarge", "Neuron"),
        ("ml.p3.2xlarge", "V100"),
        ("ml.z9.large", "not known"),
        ("g5.xlarge", "not an instance type of SageMaker"),
        ("ml.g5", "not an instance type of SageMaker"),
    ],
)
def test_an_instance_type_that_cannot_run_our_images_is_refused_with_the_reason(
    instance_type: str, reason: str
) -> None:
    with pytest.raises(UnsuitableInstanceError, match=reason):
        instance(instance_type)


def test_an_instance_type_that_sagemaker_does_not_offer_for_a_use_is_refused() -> None:
    assert instance("ml.t2.medium", "endpoint").serving_image == "serve"
    with pytest.raises(UnsuitableInstanceError, match=r"does not offer ml\.t2\.medium for training"):
        instance("ml.t2.medium", "training")


def test_the_host_image_is_one_that_sagemaker_knows() -> None:
    assert host_image() in _enumeration("ProductionVariantInferenceAmiVersion")


@pytest.mark.parametrize("use", _LISTS)
def test_the_families_of_each_use_are_those_of_sagemakers_list(use: Use) -> None:
    types = _enumeration(_LISTS[use])
    offered = {instance_type.split(".")[1] for instance_type in types}
    assert set(suitable_families(use)) <= offered
    for instance_type in types:
        try:
            instance(instance_type, use)
        except UnsuitableInstanceError as error:
            assert "cannot run the images" in str(error)  # noqa: PT017

"""A serving image on a GPU instance uses the GPU, or says why it cannot: it never pays for one and uses the CPU."""

from __future__ import annotations

import onnxruntime
import pytest

from tests.unit.training.machine import a_machine
from training.job.device import DeviceError
from training.serve import _load
from training.serving.session import CPU, CUDA


@pytest.fixture
def load(starter_folder, monkeypatch, tmp_path):
    """Loads the starter model on a machine, with this ONNX Runtime, which is one without CUDA."""

    def load(image, gpus, driver=None, wanted="auto", offers=(CPU,)):
        a_machine(monkeypatch, tmp_path, image, gpus, driver)
        # ONNX Runtime for CUDA offers CUDA everywhere, and loads a model without it where CUDA does not work.
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(offers))
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
        model, settings = _load(starter_folder, {"LOUPE_DEVICE": wanted})
        return model.provider, settings.batch

    return load


def test_the_cpu_image_on_a_gpu_instance_refuses_and_names_the_other_image(load):
    with pytest.raises(
        DeviceError, match=r"there is a GPU .*nvidia0.*, but ONNX Runtime .* offers CPU"
    ) as caught:
        load("serve", gpus=1, driver="470.57.02")
    assert "This is the CPU image on a GPU instance" in caught.value.hint
    assert "al2023-ami-sagemaker-inference-gpu-4-1" in caught.value.hint


def test_the_gpu_image_with_an_old_driver_refuses_and_names_the_host_image(load):
    with pytest.raises(DeviceError, match="could not load CUDA") as caught:
        load("serve-gpu", gpus=1, driver="470.57.02", wanted="cuda", offers=(CUDA, CPU))
    assert "driver 580, and the host has 470.57.02" in caught.value.hint
    assert "InferenceAmiVersion" in caught.value.hint


def test_the_gpu_image_without_a_gpu_refuses(load):
    with pytest.raises(DeviceError, match="LOUPE_DEVICE=cuda, but ONNX Runtime") as caught:
        load("serve-gpu", gpus=0, wanted="cuda", offers=(CUDA, CPU))
    assert "the host has none" in caught.value.hint


def test_the_gpu_image_that_may_choose_still_refuses_a_gpu_that_it_cannot_use(load):
    with pytest.raises(DeviceError, match="there is a GPU"):
        load("serve-gpu", gpus=1, driver="470.57.02", wanted="auto", offers=(CUDA, CPU))


@pytest.mark.parametrize(
    ("image", "gpus", "wanted"),
    [
        ("serve", 0, "auto"),
        ("serve", 1, "cpu"),
        ("serve-gpu", 1, "cpu"),
        ("serve-gpu", 0, "auto"),
        (None, 1, "auto"),
    ],
)
def test_the_cpu_is_used_where_there_is_no_gpu_or_it_is_wanted_or_by_hand(load, image, gpus, wanted):
    assert load(image, gpus, wanted=wanted) == (CPU, 1)

"""A training on a GPU instance uses the GPU, or says why it cannot."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")

from tests.unit.training.machine import a_machine  # noqa: E402
from training import train  # noqa: E402
from training.job.device import DeviceError  # noqa: E402
from training.learning.processor import training_device  # noqa: E402

# torch's own words where the host's driver is older than its CUDA.
TOO_OLD = "The NVIDIA driver on your system is too old (found version 12040). Please update your GPU driver"


@pytest.fixture
def without_cuda(monkeypatch):
    """A torch that finds no CUDA that works, wherever the tests run."""

    def zeros(*_, device=None, **__):
        assert device == "cuda"
        raise RuntimeError(TOO_OLD)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "zeros", zeros)


@pytest.mark.parametrize(("gpus", "instance_type"), [(1, None), (0, "ml.g5.xlarge"), (1, "ml.g5.xlarge")])
@pytest.mark.usefixtures("without_cuda")
def test_on_a_gpu_instance_without_cuda_the_training_fails_with_torchs_reason(
    tmp_path, monkeypatch, gpus, instance_type
):
    a_machine(monkeypatch, tmp_path, "train", gpus, "550.163.01")
    with pytest.raises(DeviceError, match="driver on your system is too old") as caught:
        training_device(instance_type)
    assert "The host has NVIDIA's driver 550.163.01" in caught.value.hint


@pytest.mark.usefixtures("without_cuda")
def test_a_gpu_that_is_wanted_by_name_is_needed_everywhere(tmp_path, monkeypatch):
    a_machine(monkeypatch, tmp_path, None, 0, None, wanted="cuda")
    with pytest.raises(DeviceError, match="LOUPE_DEVICE=cuda, but torch"):
        training_device(None)


@pytest.mark.parametrize(
    ("image", "gpus", "instance_type", "wanted"),
    [
        ("train", 0, "ml.c6i.2xlarge", None),
        ("train", 1, "ml.g5.xlarge", "cpu"),
        (None, 1, None, None),
        # The local cloud carries the instance type's name only, and runs no image.
        (None, 0, "ml.g5.xlarge", None),
    ],
)
@pytest.mark.usefixtures("without_cuda")
def test_the_cpu_is_used_where_no_gpu_is_paid_for_or_it_is_wanted(
    tmp_path, monkeypatch, image, gpus, instance_type, wanted
):
    a_machine(monkeypatch, tmp_path, image, gpus, None, wanted)
    assert training_device(instance_type) == torch.device("cpu")


@pytest.mark.usefixtures("without_cuda")
def test_sagemaker_reads_the_reason_of_a_job_that_cannot_use_its_gpu(tmp_path, monkeypatch):
    a_machine(monkeypatch, tmp_path, "train", 0, None)
    monkeypatch.setenv("LOUPE_ML_ROOT", str(tmp_path / "ml"))
    configuration = tmp_path / "ml/input/config"
    configuration.mkdir(parents=True)
    (configuration / "resourceconfig.json").write_text(json.dumps({"current_instance_type": "ml.g5.xlarge"}))
    assert train.main([]) == 1
    reason = (tmp_path / "ml/output/failure").read_text()
    assert reason.startswith("DeviceError: ml.g5.xlarge has a GPU (A10G), but torch")

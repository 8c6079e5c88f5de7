"""What an image sees of the machine that it runs on."""

from __future__ import annotations

import pytest

from tests.unit.training.machine import a_machine
from training.job.device import DeviceError, Machine, wanted_device


def test_a_gpu_and_its_driver_are_seen(tmp_path, monkeypatch):
    a_machine(monkeypatch, tmp_path, image="serve", gpus=2, driver="550.163.01")
    machine = Machine.seen()
    assert [path.rpartition("/")[2] for path in machine.gpus] == ["nvidia0", "nvidia1"]
    assert machine.driver == "550.163.01"
    assert "there is a GPU" in str(machine.paid_gpu())


def test_outside_of_our_images_a_gpu_may_stay_unused(tmp_path, monkeypatch):
    a_machine(monkeypatch, tmp_path, image=None, gpus=1, driver="580.65.06")
    assert Machine.seen().paid_gpu("ml.g5.xlarge") is None


@pytest.mark.parametrize(
    ("instance_type", "expected"),
    [
        ("ml.g5.xlarge", "ml.g5.xlarge has a GPU (A10G)"),
        ("ml.c6i.2xlarge", None),
        ("ml.unheard-of.large", None),
        (None, None),
    ],
)
def test_the_instance_type_tells_of_a_gpu_that_the_container_does_not_see(
    tmp_path, monkeypatch, instance_type, expected
):
    a_machine(monkeypatch, tmp_path, image="train", gpus=0, driver=None)
    assert Machine.seen().paid_gpu(instance_type) == expected


def test_a_device_that_is_not_known_is_refused():
    assert wanted_device({}) == "auto"
    with pytest.raises(DeviceError, match="LOUPE_DEVICE='gpu' must be auto, cpu or cuda"):
        wanted_device({"LOUPE_DEVICE": "gpu"})

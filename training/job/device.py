"""Whether the program is on a machine with a GPU, and so must not fall back to the CPU in silence.

Only in our images (the Dockerfile sets LOUPE_IMAGE): there a GPU that is not used is paid for, and means that the
image, the instance type and the host's driver do not fit together. By hand and in the local cloud the CPU is right.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.instances import UnsuitableInstanceError, host_image, instance
from training.job.errors import TrainingError

DEVICES = ("auto", "cpu", "cuda")
_DEVICES = Path("/dev")
_DRIVER = Path("/proc/driver/nvidia/version")


class DeviceError(TrainingError):
    """The processor that is wanted, or that is paid for, cannot be used."""


@dataclass(frozen=True)
class Machine:
    """What is seen of the machine.

    Attributes:
        image: Which of our images this is: train, serve or serve-gpu; None outside of them.
        gpus: The GPUs' device files, which the NVIDIA container toolkit shows to a container that asks for them.
        driver: The version of NVIDIA's driver; None if there is none.
    """

    image: str | None
    gpus: tuple[str, ...]
    driver: str | None

    @classmethod
    def seen(cls, environment: Mapping[str, str] = os.environ) -> Machine:
        """Look at this machine."""
        gpus = sorted(str(path) for path in _DEVICES.glob("nvidia[0-9]*"))
        return cls(environment.get("LOUPE_IMAGE") or None, tuple(gpus), _driver())

    def paid_gpu(self, instance_type: str | None = None) -> str | None:
        """Return how an image knows that it is on a GPU instance; None if it is on none, or this is no image.

        Args:
            instance_type: The job's, from SageMaker's resourceconfig.json; None if it is not known.
        """
        if self.image is None:
            return None
        if self.gpus:
            return f"there is a GPU ({', '.join(self.gpus)})"
        try:
            gpu = instance(instance_type).gpu if instance_type else None
        except UnsuitableInstanceError:
            return None
        return f"{instance_type} has a GPU ({gpu})" if gpu else None

    def serving_hint(self) -> str:
        """Return what to do where a serving image cannot use the GPU."""
        if self.image == "serve":
            return (
                "This is the CPU image on a GPU instance. Deploy the image serve-gpu with the host image "
                f"{host_image()}, or a CPU instance type; LOUPE_DEVICE=cpu allows it."
            )
        return (
            f"CUDA 13 needs NVIDIA's driver 580, and the host has {self.driver or 'none'}: deploy with the host image "
            f"(InferenceAmiVersion) {host_image()}; LOUPE_DEVICE=cpu does without the GPU."
        )

    def training_hint(self) -> str:
        """Return what to do where training cannot use the GPU."""
        return (
            f"The host has NVIDIA's driver {self.driver or 'none'}, and CUDA 13 needs 580. Train on another instance "
            "type; LOUPE_DEVICE=cpu in the job's environment trains on the CPU."
        )


def wanted_device(environment: Mapping[str, str] = os.environ) -> str:
    """Return LOUPE_DEVICE: auto, cpu or cuda. Raises DeviceError for anything else."""
    device = environment.get("LOUPE_DEVICE", "auto")
    if device not in DEVICES:
        raise DeviceError(f"LOUPE_DEVICE={device!r} must be {', '.join(DEVICES[:-1])} or {DEVICES[-1]}")
    return device


def _driver() -> str | None:
    """Return the version of the kernel's NVIDIA driver, such as 580.65.06."""
    try:
        found = re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", _DRIVER.read_text())
    except OSError:
        return None
    return found[1] if found else None

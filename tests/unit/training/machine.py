"""A machine as a container sees it, at its edge: device files, the driver's file, the image's own variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.job import device


def a_machine(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    image: str | None,
    gpus: int,
    driver: str | None,
    wanted: str | None = None,
) -> None:
    """Let the programs see a machine.

    Args:
        monkeypatch: Undoes it.
        folder: Where the files are put.
        image: LOUPE_IMAGE.
        gpus: How many GPUs the container sees.
        driver: The version of NVIDIA's driver on the host.
        wanted: LOUPE_DEVICE.
    """
    devices = folder / "dev"
    devices.mkdir()
    for name in ["nvidiactl", "nvidia-uvm", *(f"nvidia{number}" for number in range(gpus))][
        : 2 + gpus if gpus else 0
    ]:
        (devices / name).touch()
    version = folder / "version"
    if driver:
        version.write_text(
            f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {driver}  Release Build\n"
            "GCC version: gcc 12.2.0\n"
        )
    monkeypatch.setattr(device, "_DEVICES", devices)
    monkeypatch.setattr(device, "_DRIVER", version)
    for name, value in (("LOUPE_IMAGE", image), ("LOUPE_DEVICE", wanted)):
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)

"""The processor that a training runs on."""

from __future__ import annotations

import torch

from training.job.device import DeviceError, Machine, wanted_device


def training_device(instance_type: str | None) -> torch.device:
    """Return the GPU if torch can use one, else the CPU.

    Args:
        instance_type: The job's; None by hand.

    Raises:
        DeviceError: LOUPE_DEVICE=cuda, or the image is on a GPU instance, and torch cannot use the GPU; the message has
            torch's reason. A training that fell back to the CPU would take days at the GPU's price.
    """
    wanted, machine = wanted_device(), Machine.seen()
    if wanted == "cpu":
        return torch.device("cpu")
    paid = machine.paid_gpu(instance_type)
    if wanted == "auto" and paid is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        # Whether CUDA is there is not enough: this says why it does not work.
        torch.zeros(1, device="cuda")
    # torch raises RuntimeError and AssertionError here, by the kind of problem.
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split("\n")[0].split())
        raise DeviceError(
            f"{paid or 'LOUPE_DEVICE=cuda'}, but torch {torch.__version__} (CUDA {torch.version.cuda}) cannot use it: "
            f"{reason}",
            hint=machine.training_hint(),
        ) from error
    return torch.device("cuda")

"""The models on the processor that LOUPE_DEVICE asks for: by default a GPU if there is one."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from training.job.device import DeviceError, Machine
from training.model.models import Models, load

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def load_served(folder: Path, threads: int = 0, device: str = "auto") -> Models:
    """Load the models of an artefact onto the processor that LOUPE_DEVICE asks for.

    Args:
        folder: An unpacked artefact.
        threads: Of one inference; 0 lets ONNX Runtime use every core.
        device: "cpu", "cuda", or "auto", which uses a GPU if ONNX Runtime can.

    Raises:
        ArtefactError: The artefact is damaged, or ONNX Runtime cannot load it.
        DeviceError: "cuda" cannot be used, or with "auto" a serving image cannot use the GPU of its instance. ONNX
            Runtime itself would silently continue on the CPU, on an instance whose GPU is paid for.
    """
    if device != "cpu" and cuda_offered():
        # Find CUDA and cuDNN where pip installed them (onnxruntime-gpu[cuda,cudnn]).
        onnxruntime.preload_dlls()
    models = load(folder, threads)
    for model in models.parts:
        if device == "cpu" and model.provider != CPU:
            model.use(CPU)
        if device != "cpu" and model.provider != CUDA:
            _refuse_the_cpu(device, Machine.seen())
    return models


def _refuse_the_cpu(device: str, machine: Machine) -> None:
    """Raise DeviceError unless the CPU will do."""
    paid = machine.paid_gpu()
    if device == "auto" and paid is None:
        return
    offered = ", ".join(onnxruntime.get_available_providers())
    # Where CUDA is offered, ONNX Runtime has already logged why it could not be loaded.
    problem = "could not load CUDA (see the lines above)" if cuda_offered() else f"offers {offered} only"
    raise DeviceError(
        f"{paid or 'LOUPE_DEVICE=cuda'}, but ONNX Runtime {onnxruntime.__version__} {problem}",
        hint=machine.serving_hint() if machine.image else "",
    )


def cuda_offered() -> bool:
    """Return whether this ONNX Runtime was built for CUDA. Whether there is a GPU shows when a model is loaded."""
    return CUDA in onnxruntime.get_available_providers()

"""The model on the processor that LOUPE_DEVICE asks for: by default a GPU if there is one."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from training.job.errors import TrainingError
from training.model.onnx_model import OnnxModel

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class ProviderError(TrainingError):
    """The processor that LOUPE_DEVICE asks for cannot be used."""


class ServedModel(OnnxModel):
    """An OnnxModel on the processor that LOUPE_DEVICE asks for."""

    def __init__(self, folder: Path, threads: int = 0, device: str = "auto") -> None:
        """Load the model.

        Args:
            folder: An unpacked artefact.
            threads: Of one inference; 0 lets ONNX Runtime use every core.
            device: "cpu", "cuda", or "auto", which uses a GPU if ONNX Runtime can.

        Raises:
            ArtefactError: The artefact is damaged, or ONNX Runtime cannot load it.
            ProviderError: `device` is unknown, or "cuda" cannot be used. ONNX Runtime itself would silently continue
                on the CPU, on an instance whose GPU is paid for.
        """
        if device not in ("auto", "cpu", "cuda"):
            raise ProviderError(f"LOUPE_DEVICE={device!r} must be auto, cpu or cuda")
        if device != "cpu" and cuda_offered():
            # Find CUDA and cuDNN where pip installed them (onnxruntime-gpu[cuda,cudnn]).
            onnxruntime.preload_dlls()
        super().__init__(folder, threads)
        if device == "cpu" and self.provider != CPU:
            self._session.set_providers([CPU])
        if device == "cuda" and self.provider != CUDA:
            offered = ", ".join(onnxruntime.get_available_providers())
            raise ProviderError(f"no CUDA: ONNX Runtime {onnxruntime.__version__} offers {offered}")


def cuda_offered() -> bool:
    """Return whether this ONNX Runtime was built for CUDA. Whether there is a GPU shows when a model is loaded."""
    return CUDA in onnxruntime.get_available_providers()

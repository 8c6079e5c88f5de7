"""The model on the processor that is wanted: a GPU where there is one, or as the setting says."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from training.job.errors import TrainingError
from training.model.onnx_model import OnnxModel

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class ProviderError(TrainingError):
    """The processor that was asked for cannot be used."""


class ServedModel(OnnxModel):
    """An OnnxModel on the processor that was asked for."""

    def __init__(self, folder: Path, threads: int = 0, device: str = "auto") -> None:
        """device: "cpu", "cuda", or "auto", which takes a GPU where ONNX Runtime can use one.

        Raises ArtefactError, and ProviderError if "cuda" cannot be had: ONNX Runtime itself would go on
        with the CPU, silently, on an instance that is paid for its GPU.
        """
        if device not in ("auto", "cpu", "cuda"):
            raise ProviderError(f"LOUPE_DEVICE={device!r} must be auto, cpu or cuda")
        if device != "cpu" and cuda_offered():
            # Finds CUDA and cuDNN where pip has put them (onnxruntime-gpu[cuda,cudnn]).
            onnxruntime.preload_dlls()
        super().__init__(folder, threads)
        if device == "cpu" and self.provider != CPU:
            self._session.set_providers([CPU])
        if device == "cuda" and self.provider != CUDA:
            offered = ", ".join(onnxruntime.get_available_providers())
            raise ProviderError(f"no CUDA: ONNX Runtime {onnxruntime.__version__} offers {offered}")


def cuda_offered() -> bool:
    """Whether this ONNX Runtime was built for CUDA; whether there is a GPU shows when a model is loaded."""
    return CUDA in onnxruntime.get_available_providers()

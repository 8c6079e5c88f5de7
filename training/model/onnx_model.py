"""A model artefact, loaded and running in ONNX Runtime; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from training.model.artefact import MODEL, ArtefactError, ModelCard, read_card
from training.model.decoding import Detections, Floats, Postprocess, detections

# TensorRT, where it is there, would come first and build for minutes before the first answer.
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


class OnnxModel:
    """A detector ready to run. Safe to share between threads.

    any_batch: whether its graph takes several images at once.
    """

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Loads `folder`/model.onnx after checking its SHA-256 against model.json.

        threads: of one inference; 0 lets ONNX Runtime take every core. Raises ArtefactError.
        """
        self.card: ModelCard = read_card(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        available = onnxruntime.get_available_providers()
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / MODEL), options, providers=[each for each in _PROVIDERS if each in available]
            )
        except Exception as error:  # ONNX Runtime's errors share no public base class
            raise ArtefactError(f"ONNX Runtime cannot load {folder / MODEL}: {error}") from error
        self.any_batch = self._session.get_inputs()[0].shape[0] != 1

    @property
    def provider(self) -> str:
        """ONNX Runtime's name of what it really runs on."""
        return str(self._session.get_providers()[0])

    def raw(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """uint8 [N, size, size, 3] → boxes [N, A, 4] in 0..1, scores [N, A, C].

        N must be 1 where the graph takes one image at a time; `detect` takes any number.
        """
        boxes, scores = self._session.run(["boxes", "scores"], {"images": pixels})
        return boxes, scores

    def detect(self, pixels: Sequence[NDArray[np.uint8]], how: Postprocess | None = None) -> list[Detections]:
        """The detections of each image, uint8 [size, size, 3]; `how` replaces the card's postprocessing."""
        how = how or self.card.postprocess
        if self.any_batch:
            boxes, scores = self.raw(np.stack(pixels))
            return [detections(b, s, how) for b, s in zip(boxes, scores, strict=True)]
        return [detections(b[0], s[0], how) for b, s in (self.raw(image[None]) for image in pixels)]

"""A model artefact, loaded into ONNX Runtime. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from training.job.errors import TrainingError
from training.model.artefact import CARD, MODEL, ArtefactError, ModelCard, read_card
from training.model.decoding import Detections, Floats, Postprocess, detections

# ONNX Runtime would choose TensorRT first where it is installed; its build takes minutes before the first answer.
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_ROUNDING = 1e-3  # of a sigmoid or softmax in half precision


class AnswerError(TrainingError):
    """What a model answers is no judgement of an image."""


class OnnxModel:
    """A detector that is ready to run. Safe to share between threads.

    Attributes:
        card: Its model.json.
        any_batch: Whether its graph takes several images at once.
    """

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Load `folder`/model.onnx after checking its SHA-256 against model.json.

        Args:
            folder: An unpacked artefact.
            threads: Of one inference; 0 lets ONNX Runtime use every core.

        Raises:
            ArtefactError: The artefact is damaged, ONNX Runtime cannot load it, or it does not fit its card.
        """
        self.card: ModelCard = read_card(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        available = onnxruntime.get_available_providers()
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / MODEL), options, providers=[name for name in _PROVIDERS if name in available]
            )
        # ONNX Runtime's errors share no public base class.
        except Exception as error:
            reason = str(error).replace(str(folder / MODEL), MODEL)
            raise ArtefactError(f"ONNX Runtime cannot load {MODEL}: {reason}") from error
        self._check_graph()
        self.any_batch = self._session.get_inputs()[0].shape[0] != 1

    def _check_graph(self) -> None:
        """Raise ArtefactError if the graph is not one for the card. What it leaves open is checked with each answer."""
        size, classes = self.card.input_size, len(self.card.labels)
        images = {node.name: node for node in self._session.get_inputs()}.get("images")
        scores = {node.name: node for node in self._session.get_outputs()}.get("scores")
        outputs = {node.name for node in self._session.get_outputs()}
        if images is None or len(self._session.get_inputs()) != 1 or not {"boxes", "scores"} <= outputs:
            raise ArtefactError(f"{MODEL} has not the input images and the outputs boxes and scores")
        sides = [side for side in images.shape[1:3] if isinstance(side, int)]
        if images.type != "tensor(uint8)" or any(side != size for side in sides):
            raise ArtefactError(
                f"{MODEL} takes {images.type} of {images.shape}, and the input_size of {CARD} is {size}"
            )
        found = scores.shape[-1] if scores is not None and scores.shape else None
        if isinstance(found, int) and found != classes:
            raise ArtefactError(f"{MODEL} has scores of {found} classes, {CARD} has {classes} labels")

    @property
    def provider(self) -> str:
        """ONNX Runtime's name of what it runs on, such as "CPUExecutionProvider"."""
        return str(self._session.get_providers()[0])

    def raw(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Run the graph.

        Args:
            pixels: uint8 [N, size, size, 3]. N must be 1 if the graph takes one image at a time.

        Returns:
            Boxes [N, A, 4] in 0..1 and scores [N, A, C].

        Raises:
            AnswerError: These are no scores of the card's labels.
        """
        boxes, scores = self._session.run(["boxes", "scores"], {"images": pixels})
        if scores.shape[-1] != len(self.card.labels):
            raise AnswerError(f"scores of {scores.shape[-1]} classes for {len(self.card.labels)} labels")
        # NaN is above no threshold: without this check, the model would find nothing.
        if scores.size and not (scores.min() >= -_ROUNDING and scores.max() <= 1 + _ROUNDING):
            raise AnswerError("a score is not between 0 and 1")
        return boxes, scores

    def detect(
        self, pixels: Sequence[NDArray[np.uint8]], postprocess: Postprocess | None = None
    ) -> list[Detections]:
        """Return the detections of each image.

        Args:
            pixels: Any number of uint8 [size, size, 3].
            postprocess: Instead of the card's.
        """
        postprocess = postprocess or self.card.postprocess
        if self.any_batch:
            boxes, scores = self.raw(np.stack(pixels))
            return [detections(b, s, postprocess) for b, s in zip(boxes, scores, strict=True)]
        return [detections(b[0], s[0], postprocess) for b, s in (self.raw(image[None]) for image in pixels)]

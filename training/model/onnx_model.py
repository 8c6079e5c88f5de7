"""A detector of a model artefact, loaded into ONNX Runtime. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.model.artefact import CARD, MODEL, ArtefactError, read_card
from training.model.decoding import Detections, Floats, Postprocess, detections
from training.model.graph import AnswerError, Graph

_ROUNDING = 1e-3  # of a sigmoid or softmax in half precision


class OnnxModel(Graph):
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
            ArtefactError: The artefact is damaged, ONNX Runtime cannot load it, it does not fit its card, or it is an
                anomaly model.
        """
        card = read_card(folder)
        if card.anomaly is not None:
            raise ArtefactError(f"{card.name} is an anomaly model, and no detector of known classes")
        super().__init__(folder / MODEL, card, ("boxes", "scores"), threads)
        shape, classes = self._outputs()["scores"].shape, len(card.labels)
        found = shape[-1] if shape else None
        if isinstance(found, int) and found != classes:
            raise ArtefactError(f"{MODEL} has scores of {found} classes, {CARD} has {classes} labels")

    def raw(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Run the graph.

        Args:
            pixels: uint8 [N, size, size, 3]. N must be 1 if the graph takes one image at a time.

        Returns:
            Boxes [N, A, 4] in 0..1 and scores [N, A, C].

        Raises:
            AnswerError: These are no scores of the card's labels.
        """
        boxes, scores = self.run(["boxes", "scores"], pixels)
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

        Raises:
            AnswerError: The model's answer is no judgement.
        """
        postprocess = postprocess or self.card.postprocess
        if self.any_batch:
            answers: Iterable[tuple[Floats, Floats]] = zip(*self.raw(np.stack(pixels)), strict=True)
        else:
            answers = ((boxes[0], scores[0]) for boxes, scores in (self.raw(image[None]) for image in pixels))
        try:
            return [detections(boxes, scores, postprocess) for boxes, scores in answers]
        except ValueError as error:
            raise AnswerError(str(error)) from error

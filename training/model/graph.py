"""An ONNX graph in ONNX Runtime, for detectors and anomaly models alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from training.job.errors import TrainingError
from training.model.artefact import ArtefactError, ModelCard
from training.model.external_data import has_external_data

# ONNX Runtime would choose TensorRT first where it is installed; its build takes minutes before the first answer.
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")


class AnswerError(TrainingError):
    """What a model answers is no judgement of an image."""


def _check_whole(file: Path) -> None:
    """Raise ArtefactError for a graph that is not whole without other files."""
    try:
        if not has_external_data(file):
            return
    # What is no graph is ONNX Runtime's to refuse.
    except ValueError:
        return
    raise ArtefactError(
        f"{file.name} keeps weights in other files, which its SHA-256 does not cover",
        hint="Save it as one file: onnx.save(onnx.load(PATH), PATH, save_as_external_data=False).",
    )


class Graph:
    """A model's graph. Safe to share between threads.

    Attributes:
        card: Of the model.
        any_batch: Whether the graph takes several images at once.
    """

    def __init__(self, file: Path, card: ModelCard, outputs: tuple[str, ...], threads: int) -> None:
        """Load a graph, and check its input and the names of its outputs.

        Args:
            file: The graph, which `read_card` has checked.
            card: Of the model.
            outputs: The names of its outputs.
            threads: Of one inference; 0 lets ONNX Runtime use every core.

        Raises:
            ArtefactError: ONNX Runtime cannot load it, or it does not fit.
        """
        self.card = card
        self._file = file.name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        available = onnxruntime.get_available_providers()
        _check_whole(file)
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=[name for name in _PROVIDERS if name in available]
            )
        # ONNX Runtime's errors share no public base class.
        except Exception as error:
            reason = str(error).replace(str(file), file.name)
            raise ArtefactError(f"ONNX Runtime cannot load {file.name}: {reason}") from error
        try:
            self._check_names(outputs)
            sides = [node.shape for node in (*self._session.get_inputs(), *self._session.get_outputs())]
        # ONNX Runtime takes any bytes for the name of an axis, and reads them when it is asked.
        except UnicodeDecodeError as error:
            raise ArtefactError(f"{file.name} has a name that is no text") from error
        self.any_batch = sides[0][0] != 1

    def _check_names(self, wanted: tuple[str, ...]) -> None:
        """Raise ArtefactError for other inputs or outputs. What the graph leaves open is checked with each answer."""
        inputs = {node.name: node for node in self._session.get_inputs()}
        images, size = inputs.get("images"), self.card.input_size
        if images is None or len(inputs) != 1 or not set(wanted) <= set(self._outputs()):
            raise ArtefactError(
                f"{self._file} has not the input images and the outputs {' and '.join(wanted)}"
            )
        for name in wanted:
            if (kind := self._outputs()[name].type) not in _FLOATS:
                raise ArtefactError(f"{self._file} answers {name} as {kind}, and not as numbers with a point")
        sides = [side for side in images.shape[1:3] if isinstance(side, int)]
        if images.type != "tensor(uint8)" or any(side != size for side in sides):
            raise ArtefactError(
                f"{self._file} takes {images.type} of {images.shape}, and the input_size of its card is {size}"
            )

    def _outputs(self) -> dict[str, Any]:
        """The outputs by name, each with `type` and `shape`; a side that the graph leaves open is no number."""
        return {node.name: node for node in self._session.get_outputs()}

    def run(self, outputs: list[str], pixels: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """Return some outputs of the graph for uint8 [N, size, size, 3].

        Raises:
            AnswerError: ONNX Runtime cannot run the graph.
        """
        try:
            answers: list[NDArray[Any]] = self._session.run(outputs, {"images": pixels})
        # Its errors share no public base class.
        except Exception as error:
            raise AnswerError(f"ONNX Runtime cannot run {self._file}: {error}") from error
        return answers

    @property
    def provider(self) -> str:
        """ONNX Runtime's name of what it runs on, such as "CPUExecutionProvider"."""
        return str(self._session.get_providers()[0])

    def use(self, provider: str) -> None:
        """Run on another processor from now on. provider: ONNX Runtime's name of it."""
        self._session.set_providers([provider])

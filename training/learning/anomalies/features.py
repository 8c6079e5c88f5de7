"""The features of pictures: decoded in threads, and looked at by the backbone in ONNX Runtime, faster than in torch."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from torch import Tensor, nn

from training.detectors.base import AnomalyNetwork
from training.job import stopping
from training.job.container import cores
from training.learning.anomalies.coreset import Floats
from training.learning.anomalies.data import Picture
from training.learning.export import write_graph
from training.learning.loading import read_pixels

# More are no faster on a CPU, and take more memory.
_BATCH = 2
Pixels = NDArray[np.uint8]


class _Features(nn.Module):
    def __init__(self, network: AnomalyNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network.features(images)


class Extractor:
    """The backbone of an anomaly network, ready to look at pictures."""

    def __init__(self, network: AnomalyNetwork, bit_depth: int | None) -> None:
        """Export the backbone.

        Args:
            network: With its weights.
            bit_depth: Of the cameras, for 16-bit files that do not state it.
        """
        self._size, self._bit_depth = network.input_size, bit_depth
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "features.onnx"
            write_graph(_Features(network), network.input_size, path, ("features",))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = cores()
            options.log_severity_level = 3
            self._session: onnxruntime.InferenceSession | None = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )

    def close(self) -> None:
        """Free the memory of the backbone. `pixels` still works."""
        self._session = None

    def __call__(self, pictures: Sequence[Picture]) -> Iterator[tuple[Pixels, Floats]]:
        """Yield the pixels and the features [places, channels] of each picture, in order. Few are in memory at a time.

        Raises:
            DatasetError: A picture cannot be read.
            Stopped: A signal came.
        """
        decoded = self._decoded(pictures)
        while batch := list(islice(decoded, _BATCH)):
            stopping.check()
            features = self._features(np.stack(batch))
            yield from zip(batch, features, strict=True)

    def wholes(self, pictures: Iterable[Pixels]) -> Floats:
        """Return the mean feature [N, channels] of pictures, each uint8 [size, size, 3]."""
        return np.stack([self._features(pixels[None])[0].mean(0) for pixels in pictures])

    def _features(self, pixels: Pixels) -> Floats:
        assert self._session is not None  # noqa: S101 - it is closed at the end only
        features: Floats = self._session.run(None, {"images": pixels})[0]
        return features

    def pixels(self, picture: Picture) -> Pixels:
        """Return a picture as the network sees it, uint8 [size, size, 3].

        Raises:
            DatasetError: It cannot be read.
        """
        return read_pixels(picture.dataset, picture.sample, self._size, self._bit_depth)

    def _decoded(self, pictures: Sequence[Picture]) -> Iterator[Pixels]:
        threads = pictures[0].dataset.files.threads if pictures else 1
        waiting: deque[Future[Pixels]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            for picture in pictures:
                waiting.append(pool.submit(self.pixels, picture))
                if len(waiting) > threads + _BATCH:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

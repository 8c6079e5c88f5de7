"""From an image's bytes to the endpoint's answer.

Without batching, one thread does everything for an image, up to the answer's bytes. On a CPU, where that is the
default, it is the thread of a worker process (workers.py). With batching (the default on a GPU), a pool of threads
decodes, and one thread runs the inference of the images that are ready. An image that cannot be decoded never reaches
a batch.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from contract.images import UnreadableError
from training.model.artefact import ModelCard
from training.model.decoding import Detections, shift_boxes, to_json
from training.model.pixels import Picture, decode, quality
from training.model.tiling import detect_in_tiles, plan, tile_edge
from training.serving.batching import Batcher
from training.serving.refusals import RefusedError
from training.serving.settings import Settings


class Model(Protocol):
    """What the endpoint needs of a model. OnnxModel has it."""

    card: ModelCard

    def detect(self, pixels: Sequence[NDArray[np.uint8]]) -> list[Detections]: ...


class Predictor(Protocol):
    """What the routes call: a ThreadPredictor, or Workers, which has one in each of its processes."""

    card: ModelCard

    def warm_up(self) -> None: ...

    async def answer(self, data: bytes, timings: Timings, bit_depth: int | None = None) -> Answer: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Timings:
    """Moments of one request, in seconds of time.perf_counter; 0 if it has not got there."""

    arrived: float = field(default_factory=time.perf_counter)
    received: float = 0.0
    started: float = 0.0
    decoded: float = 0.0
    inferring: float = 0.0
    inferred: float = 0.0

    def elapsed(self) -> float:
        """Return the milliseconds since the request arrived."""
        return (time.perf_counter() - self.arrived) * 1000

    def milliseconds(self) -> dict[str, float]:
        """Return how long each stage took, and the total up to now.

        "receive" is reading the body, or the object; "queue" is waiting for a worker; "wait" is waiting for the batch.
        """
        moments = {
            "receive": (self.arrived, self.received),
            "queue": (self.received, self.started),
            "decode": (self.started, self.decoded),
            "wait": (self.decoded, self.inferring),
            "inference": (self.inferring, self.inferred),
            "total": (self.arrived, time.perf_counter()),
        }
        return {name: round((end - start) * 1000, 2) for name, (start, end) in moments.items()}


@dataclass(slots=True)
class _DecodedImage:
    """A decoded image, and its detections unless the batcher is still to run its inference."""

    picture: Picture
    quality: dict[str, float]
    detections: Detections | None = None
    batch_size: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one image.

    Attributes:
        body: JSON, as docs/serving.md describes it.
        batch_size: Of the inference.
    """

    body: bytes
    batch_size: int


class ThreadPredictor:
    """One model, its threads and, with batching, its batcher."""

    def __init__(self, model: Model, settings: Settings) -> None:
        self.card = model.card
        self._model, self._settings = model, settings
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="worker")
        self._decoding = 0
        self._batcher: Batcher[NDArray[np.uint8], Detections] | None = None
        if settings.batch > 1:
            wait = settings.batch_wait_ms / 1000
            self._batcher = Batcher(model.detect, settings.batch, wait, lambda: self._decoding)

    def warm_up(self) -> None:
        """Run the inference once with each possible batch size: the first run of each allocates and tunes."""
        black = np.zeros((self.card.input_size,) * 2 + (3,), np.uint8)
        for size in [1, 1, *range(1, self._settings.batch + 1)]:
            self._model.detect([black] * size)

    def close(self) -> None:
        """End the threads once they have finished their images."""
        self._pool.shutdown(wait=True)
        if self._batcher:
            self._batcher.close()

    async def answer(self, data: bytes, timings: Timings, bit_depth: int | None = None) -> Answer:
        """Answer one image. bit_depth: of the camera, for 16-bit files that do not state it.

        Raises:
            UnreadableError: The image cannot be decoded, or takes too long.
            RefusedError: The model failed on it.
        """
        self._decoding += 1
        try:
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(self._pool, self.process, data, timings, bit_depth)
        finally:
            self._decoding -= 1
        if isinstance(result, Answer):
            return result
        assert self._batcher is not None  # noqa: S101 - without a batcher, `process` has returned an Answer
        try:
            done = await asyncio.wrap_future(self._batcher.submit(result.picture.pixels))
        except Exception as error:
            raise _inference_failed(error) from error
        timings.inferring, timings.inferred = done.began, done.ended
        result.batch_size = done.batch_size
        return self._answer(result, done.result, timings)

    def process(self, data: bytes, timings: Timings, bit_depth: int | None = None) -> Answer | _DecodedImage:
        """Do everything for an image that the calling thread can do.

        This runs in a thread of the pool, not in the event loop, which has all clients to serve.

        Returns:
            The answer; with batching, the decoded image, whose inference is still to be run.

        Raises:
            UnreadableError: The image cannot be decoded, or takes too long.
            RefusedError: The model failed on it.
        """
        image = self._decode(data, timings, bit_depth)
        if image.picture.full is not None or self._batcher is None:
            self._detect(image, timings)
        return image if image.detections is None else self._answer(image, image.detections, timings)

    def _decode(self, data: bytes, timings: Timings, bit_depth: int | None) -> _DecodedImage:
        card, settings = self.card, self._settings
        timings.started = time.perf_counter()
        picture = decode(
            data,
            card.input_size,
            settings.max_pixels,
            card.full_above,
            settings.image_seconds,
            bit_depth or card.bit_depth,
        )
        image = _DecodedImage(picture, quality(picture.pixels))
        timings.decoded = timings.inferring = time.perf_counter()
        return image

    def _detect(self, image: _DecodedImage, timings: Timings) -> None:
        """Run the inference of an image, tile by tile if it is large. Tiles of several images share batches."""
        card, settings, picture = self.card, self._settings, image.picture

        def check_time() -> None:
            if time.perf_counter() - timings.started > settings.image_seconds:
                raise UnreadableError(
                    "timed_out",
                    f"{picture.width} x {picture.height} pixels take longer than "
                    f"{settings.image_seconds:g} s",
                )

        try:
            image.detections = detect_in_tiles(
                self._infer,
                picture,
                card.tiles,
                max_detections=card.postprocess.detections,
                batch_size=settings.batch,
                before_batch=check_time,
            )
        except UnreadableError:
            raise
        except Exception as error:
            raise _inference_failed(error) from error
        image.batch_size = settings.batch if picture.full else 1
        # Full resolution takes many times the memory of everything else that is kept.
        image.picture = replace(picture, full=None)
        timings.inferred = time.perf_counter()

    def _infer(self, pixels: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        if self._batcher is None:
            return self._model.detect(pixels)
        futures = [self._batcher.submit(view) for view in pixels]
        return [future.result().result for future in futures]

    def _answer(self, image: _DecodedImage, detections: Detections, timings: Timings) -> Answer:
        card, picture = self.card, image.picture
        document = answer_document(card, picture, detections)
        document |= {"quality": image.quality, "batch_size": image.batch_size}
        edge = None
        if card.tiles and max(picture.width, picture.height) > card.tiles.size:
            tile_boxes = plan(picture.width, picture.height, card.tiles)
            document["tiles"], edge = len(tile_boxes), tile_edge(tile_boxes)
        document["warnings"] = [{"message": message} for message in _warnings(card, picture, edge)]
        document["timings_ms"] = timings.milliseconds()
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return Answer(text.encode(), image.batch_size)


def _warnings(card: ModelCard, picture: Picture, tile: int | None) -> Iterator[str]:
    """Yield why the model may be blind on a picture. tile: the edge of its tiles, in its pixels, if it was cut."""
    if picture.unstated_bits is not None:
        yield (
            f"bit depth not known: the file has 16 bits and uses {picture.unstated_bits} at most, so that it looks "
            "dark; set the camera's bit_depth"
        )
    doubt = card.scale and card.scale.doubt(picture.width, picture.height, card.input_size, tile)
    if doubt:
        yield f"wrong scale: {doubt}"


def answer_document(card: ModelCard, picture: Picture, detections: Detections) -> dict[str, Any]:
    """Return the part of the answer that names the model, the image and the detections."""
    detections = shift_boxes(detections, card.box_offset, picture.width, picture.height)
    return {
        "model": {"name": card.name, "version": card.version},
        "image": {"width": picture.width, "height": picture.height, "format": picture.format},
        "detections": to_json(detections, card.labels, picture.width, picture.height),
    }


def _inference_failed(error: Exception) -> RefusedError:
    # Only the type: ONNX Runtime's errors share no public base class, and a message could contain bytes of the image.
    return RefusedError(500, "inference_failed", f"the model failed on this image: {type(error).__name__}")

"""From an image's bytes to the endpoint's answer.

Without batching one thread does all that an image needs, up to the answer's bytes; on a CPU, where that is the
default, it is that of a worker process (workers.py). With batching (a GPU's default) a pool of threads decodes,
and one thread infers what is ready; an image that cannot be decoded never reaches a batch.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from contract.images import UnreadableError
from training.model.artefact import ModelCard
from training.model.decoding import Detections, shift_boxes, to_json
from training.model.pixels import Picture, decode, quality
from training.model.tiling import detect_in_tiles, plan
from training.serving.batching import Batcher, Done
from training.serving.errors import RefusedError
from training.serving.settings import Settings


class Model(Protocol):
    """What the endpoint needs of a model; OnnxModel has it."""

    card: ModelCard

    def detect(self, pixels: Sequence[NDArray[np.uint8]]) -> list[Detections]: ...


class Judging(Protocol):
    """What the endpoint asks: a Judge in threads of its own process, or Workers."""

    card: ModelCard

    def warm_up(self) -> None: ...

    async def answer(self, data: bytes, timings: Timings) -> Answer: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Timings:
    """Moments of one request, in seconds of perf_counter; 0: not reached."""

    arrived: float = field(default_factory=time.perf_counter)
    received: float = 0.0
    started: float = 0.0
    decoded: float = 0.0
    inferring: float = 0.0
    inferred: float = 0.0

    def milliseconds(self) -> dict[str, float]:
        """Each stage, and the whole up to now.

        receive: reading the body, or the object. queue: waiting for a worker. wait: for its batch to begin.
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
class _Look:
    """What a worker made of an image; `found` is None where the batcher has still to infer it."""

    picture: Picture
    quality: dict[str, float]
    found: Detections | None = None
    batch_size: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """The contract's document as JSON."""

    body: bytes
    batch_size: int


class Judge:
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
        """Infers once with each batch size there will be: the first run of each allocates and tunes."""
        black = np.zeros((self.card.input_size,) * 2 + (3,), np.uint8)
        for size in [1, 1, *range(1, self._settings.batch + 1)]:
            self._model.detect([black] * size)

    def close(self) -> None:
        """Ends the threads once they have finished what they have."""
        self._pool.shutdown(wait=True)
        if self._batcher:
            self._batcher.close()

    async def answer(self, data: bytes, timings: Timings) -> Answer:
        """The document that the contract wants. Raises UnreadableError, RefusedError."""
        self._decoding += 1
        try:
            loop = asyncio.get_running_loop()
            look = await loop.run_in_executor(self._pool, self.work, data, timings)
        finally:
            self._decoding -= 1
        if isinstance(look, Answer):
            return look
        assert self._batcher is not None  # noqa: S101 - or the worker would have inferred
        try:
            done = await asyncio.wrap_future(self._batcher.submit(look.picture.pixels))
        except Exception as error:
            raise _failed(error) from error
        timings.inferring, timings.inferred = done.began, done.ended
        look.batch_size = done.batch_size
        return self._answer(look, done.result, timings)

    def work(self, data: bytes, timings: Timings) -> Answer | _Look:
        """All that the calling thread can do: with batching the image is still to be inferred.

        The event loop, which has every client to attend to, should not be that thread.
        """
        look = self._look(data, timings)
        return look if look.found is None else self._answer(look, look.found, timings)

    def _look(self, data: bytes, timings: Timings) -> _Look:
        """Pillow and ONNX Runtime let go of the interpreter's lock."""
        card, settings = self.card, self._settings
        timings.started = time.perf_counter()
        picture = decode(data, card.input_size, settings.max_pixels, card.full_above, settings.image_seconds)
        look = _Look(picture, quality(picture.pixels))
        timings.decoded = timings.inferring = time.perf_counter()
        if picture.full is None and self._batcher:
            return look

        def in_time() -> None:
            if time.perf_counter() - timings.started > settings.image_seconds:
                raise UnreadableError(
                    "timed_out",
                    f"{picture.width} x {picture.height} pixels take longer than "
                    f"{settings.image_seconds:g} s",
                )

        most = card.postprocess.detections
        try:
            look.found = detect_in_tiles(
                self._detect, picture, card.tiles, max_detections=most, batch_size=settings.batch, before_batch=in_time
            )
        except UnreadableError:
            raise
        except Exception as error:
            raise _failed(error) from error
        look.batch_size = settings.batch if picture.full else 1
        look.picture = replace(picture, full=None)  # many times as large as all else that is kept
        timings.inferred = time.perf_counter()
        return look

    def _detect(self, pixels: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        if self._batcher is None:
            return self._model.detect(pixels)
        jobs = [self._batcher.submit(each) for each in pixels]
        done: list[Done[Detections]] = [job.result() for job in jobs]
        return [each.result for each in done]

    def _answer(self, look: _Look, found: Detections, timings: Timings) -> Answer:
        card, picture = self.card, look.picture
        document = described(card, picture, found) | {"quality": look.quality, "batch_size": look.batch_size}
        if card.tiles and max(picture.width, picture.height) > card.tiles.size:
            document["tiles"] = len(plan(picture.width, picture.height, card.tiles))
        document["timings_ms"] = timings.milliseconds()
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return Answer(text.encode(), look.batch_size)


def described(card: ModelCard, picture: Picture, found: Detections) -> dict[str, Any]:
    """The part of the contract's document that tells what the model saw, and in which image."""
    found = shift_boxes(found, card.box_offset, picture.width, picture.height)
    return {
        "model": {"name": card.name, "version": card.version},
        "image": {"width": picture.width, "height": picture.height, "format": picture.format},
        "detections": to_json(found, card.labels, picture.width, picture.height),
    }


def _failed(error: Exception) -> RefusedError:
    # ONNX Runtime's errors share no public base class, and their text may hold no image: only its type is told.
    return RefusedError(500, "inference_failed", f"the model failed on this image: {type(error).__name__}")

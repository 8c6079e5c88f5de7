"""From an image's bytes to the endpoint's answer.

Without batching, one thread does everything for an image, up to the answer's bytes. On a CPU, where that is the
default, it is the thread of a worker process (workers.py). With batching (the default on a GPU), a pool of threads
decodes, and one thread runs the inference of the images that are ready. An image that cannot be decoded never reaches
a batch.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from contract.images import UnreadableError
from training.model.anomaly import Judgement
from training.model.artefact import ModelCard
from training.model.decoding import Detections
from training.model.heat_map import heat_map
from training.model.models import Models, decode_for, findings
from training.model.pixels import Picture, quality
from training.model.tiling import detect_in_tiles, plan, tile_edge
from training.serving import detect_anomalies
from training.serving.batching import Batcher
from training.serving.judged import Judged
from training.serving.negotiation import Asked, Form
from training.serving.refusals import RefusedError
from training.serving.settings import Settings


class Predictor(Protocol):
    """What the routes call: a ThreadPredictor, or Workers, which has one in each of its processes."""

    card: ModelCard

    def warm_up(self) -> None: ...

    async def answer(self, data: bytes, timings: Timings, asked: Asked) -> Answer: ...

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
    """A decoded image, and its detections unless the batcher is still to run the detector's inference."""

    picture: Picture
    quality: dict[str, float]
    anomaly: NDArray[np.uint8]
    detections: Detections | None = None
    judgement: Judgement | None = None
    batch_size: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one image.

    Attributes:
        body: As docs/serving.md describes it, in the form that was asked for.
        batch_size: Of the inference.
    """

    body: bytes
    batch_size: int


class ThreadPredictor:
    """The models of an artefact, their threads and, with batching, their batcher."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self.card = models.card
        self._models, self._settings = models, settings
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="worker")
        self._decoding = 0
        self._batcher: Batcher[NDArray[np.uint8], Detections] | None = None
        # An anomaly model judges in the thread that decodes: it compares each place with thousands of others, so that
        # a batch needs as many times the memory, and saves little.
        if models.detector is not None and settings.batch > 1:
            wait = settings.batch_wait_ms / 1000
            self._batcher = Batcher(models.detector.detect, settings.batch, wait, lambda: self._decoding)

    def warm_up(self) -> None:
        """Run the inference once with each possible batch size: the first run of each allocates and tunes."""
        if detector := self._models.detector:
            black = _black(detector.card)
            for size in [1, 1, *range(1, self._settings.batch + 1)]:
                detector.detect([black] * size)
        if anomaly := self._models.anomaly:
            for _ in range(2):
                anomaly.judge([_black(anomaly.card)])

    def close(self) -> None:
        """End the threads once they have finished their images."""
        self._pool.shutdown(wait=True)
        if self._batcher:
            self._batcher.close()

    async def answer(self, data: bytes, timings: Timings, asked: Asked) -> Answer:
        """Answer one image.

        Raises:
            UnreadableError: The image cannot be decoded, or takes too long.
            RefusedError: A model failed on it.
        """
        self._decoding += 1
        try:
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(self._pool, self.process, data, timings, asked)
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
        result.detections = done.result
        return self._answer(result, timings, asked)

    def process(self, data: bytes, timings: Timings, asked: Asked) -> Answer | _DecodedImage:
        """Do everything for an image that the calling thread can do.

        This runs in a thread of the pool, not in the event loop, which has all clients to serve.

        Returns:
            The answer; with batching, the decoded image, whose inference is still to be run.

        Raises:
            UnreadableError: The image cannot be decoded, or takes too long.
            RefusedError: A model failed on it.
        """
        image = self._decode(data, timings, asked)
        batched = self._batcher is not None and image.picture.full is None
        try:
            if self._models.anomaly is not None:
                image.judgement = self._models.anomaly.judge([image.anomaly])[0]
            if self._models.detector is not None and not batched:
                self._detect(image, timings)
        except UnreadableError:
            raise
        except Exception as error:
            raise _inference_failed(error) from error
        timings.inferred = time.perf_counter()
        return image if batched else self._answer(image, timings, asked)

    def _decode(self, data: bytes, timings: Timings, asked: Asked) -> _DecodedImage:
        settings = self._settings
        timings.started = time.perf_counter()
        views = decode_for(self._models, data, settings.max_pixels, settings.image_seconds, asked.bit_depth)
        image = _DecodedImage(views.picture, quality(views.picture.pixels), views.anomaly)
        timings.decoded = timings.inferring = time.perf_counter()
        return image

    def _detect(self, image: _DecodedImage, timings: Timings) -> None:
        """Run the detector on an image, tile by tile if it is large. Tiles of several images share batches."""
        card, settings, picture = self.card, self._settings, image.picture

        def check_time() -> None:
            if time.perf_counter() - timings.started > settings.image_seconds:
                raise UnreadableError(
                    "timed_out",
                    f"{picture.width} x {picture.height} pixels take longer than "
                    f"{settings.image_seconds:g} s",
                )

        image.detections = detect_in_tiles(
            self._infer,
            picture,
            card.tiles,
            max_detections=card.postprocess.detections,
            batch_size=settings.batch,
            before_batch=check_time,
        )
        image.batch_size = settings.batch if picture.full else 1
        # Full resolution takes many times the memory of everything else that is kept.
        image.picture = replace(picture, full=None)

    def _infer(self, pixels: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        assert self._models.detector is not None  # noqa: S101 - `process` has looked
        if self._batcher is None:
            return self._models.detector.detect(pixels)
        futures = [self._batcher.submit(view) for view in pixels]
        return [future.result().result for future in futures]

    def _answer(self, image: _DecodedImage, timings: Timings, asked: Asked) -> Answer:
        card, picture = self.card, image.picture
        edge, tiles = None, {}
        if card.tiles and max(picture.width, picture.height) > card.tiles.size:
            tile_boxes = plan(picture.width, picture.height, card.tiles)
            tiles, edge = {"tiles": len(tile_boxes)}, tile_edge(tile_boxes)
        judged = Judged(
            picture,
            findings(self._models, picture, image.detections, image.judgement),
            image.judgement,
            card,
            self._models.anomaly.card if self._models.anomaly else None,
            list(_warnings(self._models, picture, edge, image.judgement)),
        )
        if asked.form is Form.HEAT_MAP:
            return Answer(_heat_map(judged), image.batch_size)
        if asked.form is Form.DETECT_ANOMALIES:
            return Answer(detect_anomalies.answer(judged), image.batch_size)
        document = answer_document(judged, asked.heat_map)
        document |= {"quality": image.quality, "batch_size": image.batch_size, **tiles}
        document["warnings"] = [{"message": message} for message in judged.warnings]
        document["timings_ms"] = timings.milliseconds()
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return Answer(text.encode(), image.batch_size)


def _black(card: ModelCard) -> NDArray[np.uint8]:
    return np.zeros((card.input_size,) * 2 + (3,), np.uint8)


def _warnings(
    models: Models, picture: Picture, tile: int | None, judgement: Judgement | None
) -> Iterator[str]:
    """Yield why the models may be blind on a picture. tile: the edge of its tiles, in its pixels, if it was cut."""
    if picture.unstated_bits is not None:
        yield (
            f"bit depth not known: the file has 16 bits and uses {picture.unstated_bits} at most, so that it looks "
            "dark; set the camera's bit_depth"
        )
    doubts: dict[str, None] = {}
    for model in models.parts:
        card = model.card
        # Only a detector cuts a picture into tiles.
        edge = tile if model is models.detector else None
        doubt = card.scale and card.scale.doubt(picture.width, picture.height, card.input_size, edge)
        if doubt:
            doubts[f"wrong scale: {doubt}"] = None
    yield from doubts
    if judgement is not None and judgement.foreign is not None:
        yield judgement.foreign


def answer_document(judged: Judged, with_heat_map: bool = False) -> dict[str, Any]:
    """Return the part of the answer that names the model, the image and what was found."""
    card, picture, judgement = judged.card, judged.picture, judged.judgement
    document = {
        "model": {"name": card.name, "version": card.version},
        "image": {"width": picture.width, "height": picture.height, "format": picture.format},
        "detections": judged.detections,
    }
    if judgement is not None and judged.anomaly is not None:
        anomaly: dict[str, Any] = {
            # What the model has learned is no measure for a picture of something else.
            "score": None if judgement.foreign is not None else round(judgement.score, 4),
            "distance": round(judgement.distance, 4),
            "model": {"name": judged.anomaly.name, "version": judged.anomaly.version},
        }
        if with_heat_map:
            anomaly["heat_map"] = base64.b64encode(_heat_map(judged)).decode()
        document["anomaly"] = anomaly
    return document


def _heat_map(judged: Judged) -> bytes:
    judgement, card = judged.judgement, judged.anomaly
    assert judgement is not None and card is not None and card.anomaly is not None  # noqa: S101, PT018 - form_of has looked
    return heat_map(judgement.map, card.anomaly)


def _inference_failed(error: Exception) -> RefusedError:
    # Only the type: ONNX Runtime's errors share no public base class, and a message could contain bytes of the image.
    return RefusedError(500, "inference_failed", f"the model failed on this image: {type(error).__name__}")

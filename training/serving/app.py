"""The endpoint's two routes: POST /invocations judges one image, GET /ping says whether it can."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from training.onnx_model import OnnxModel
from training.pixels import MAX_PIXELS, ImageError, decode, quality, to_original

MAX_BODY_BYTES = 6 * 1024 * 1024  # SageMaker's limit for a real-time endpoint
MEDIA_TYPES = ("application/octet-stream", "application/x-image", "binary/octet-stream")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the endpoint takes at most.

    workers: images decoded and inferred at once. waiting: further ones that may queue before a 503.
    """

    workers: int = 2
    waiting: int = 32
    body_bytes: int = MAX_BODY_BYTES
    pixels: int = MAX_PIXELS


class _RequestError(Exception):
    """A request that is refused before anybody looks at the image."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Endpoint:
    """One model behind the two routes."""

    def __init__(self, model: OnnxModel, limits: Limits | None = None) -> None:
        self._model = model
        self._limits = limits or Limits()
        self._pool = ThreadPoolExecutor(self._limits.workers, thread_name_prefix="inference")
        self._busy = 0

    def app(self) -> Starlette:
        """The ASGI application. It warms the model up before it accepts a connection."""
        routes = [
            Route("/ping", self._ping, methods=["GET"]),
            Route("/invocations", self._invocations, methods=["POST"]),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await asyncio.get_running_loop().run_in_executor(self._pool, self._warm_up)
        yield
        self._pool.shutdown(wait=True)

    def _warm_up(self) -> None:
        size = self._model.card.input_size
        for _ in range(3):
            self._model.detect([np.zeros((size, size, 3), np.uint8)])

    async def _ping(self, _: Request) -> Response:
        card = self._model.card
        return JSONResponse({"status": "ok", "model": {"name": card.name, "version": card.version}})

    async def _invocations(self, request: Request) -> Response:
        if self._busy >= self._limits.workers + self._limits.waiting:
            return _error(503, "busy", "all workers are busy; try again shortly", {"Retry-After": "1"})
        self._busy += 1
        try:
            arrived = time.perf_counter()
            body = await self._body(request)
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._pool, self._judge, body, arrived)
            return JSONResponse(answer)
        except ImageError as error:
            return _error(422, error.code, str(error))
        except _RequestError as error:
            return _error(error.status, error.code, str(error))
        except ClientDisconnect:
            return Response(status_code=499)  # nobody is left to read it
        finally:
            self._busy -= 1

    async def _body(self, request: Request) -> bytes:
        """The request's body, refused as soon as it is known to be too long."""
        kind = request.headers.get("content-type", MEDIA_TYPES[0]).split(";")[0].strip().lower()
        if not kind.startswith("image/") and kind not in MEDIA_TYPES:
            raise _RequestError(415, "unsupported_media_type", f"send the image's bytes, not {kind}")
        limit = self._limits.body_bytes
        declared = request.headers.get("content-length", "0")
        chunks: list[bytes] = []
        length = int(declared) if declared.isdecimal() else 0
        if length <= limit:
            length = 0
            async for chunk in request.stream():
                length += len(chunk)
                if length > limit:
                    break
                chunks.append(chunk)
        if length > limit:
            raise _RequestError(413, "body_too_large", f"the body is larger than {limit:,} bytes")
        return b"".join(chunks)

    def _judge(self, body: bytes, arrived: float) -> dict[str, Any]:
        """Runs in a worker thread: Pillow and ONNX Runtime let go of the interpreter's lock."""
        card = self._model.card
        started = time.perf_counter()
        picture = decode(body, card.input_size, self._limits.pixels)
        decoded = time.perf_counter()
        (found,) = self._model.detect([picture.pixels])
        inferred = time.perf_counter()
        boxes = to_original(found.boxes, picture.width, picture.height)
        return {
            "model": {"name": card.name, "version": card.version},
            "image": {"width": picture.width, "height": picture.height, "format": picture.format},
            "detections": [
                {
                    "label": card.labels[which],
                    "score": round(score, 4),
                    "box": [round(edge, 2) for edge in box],
                }
                for which, score, box in zip(
                    found.classes.tolist(), found.scores.tolist(), boxes.tolist(), strict=True
                )
            ],
            "quality": quality(picture.pixels),
            "timings_ms": {
                "queue": _milliseconds(arrived, started),
                "decode": _milliseconds(started, decoded),
                "inference": _milliseconds(decoded, inferred),
                "total": _milliseconds(arrived, time.perf_counter()),
            },
        }


def _milliseconds(start: float, end: float) -> float:
    return round((end - start) * 1000, 2)


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)

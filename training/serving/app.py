"""The endpoint's two routes: POST /invocations judges one image, GET /ping says whether it can."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from contract.images import UnreadableError
from training.job.container import emit
from training.serving.errors import RefusedError, internal
from training.serving.inference import Judging, Timings
from training.serving.metrics import Metrics
from training.serving.objects import Objects
from training.serving.settings import Settings

MEDIA_TYPES = ("application/octet-stream", "application/x-image", "binary/octet-stream")
REFERENCE = "application/json"
MAX_REFERENCE_BYTES = 16 * 1024
BODY_SECONDS = 30.0  # a client that sends more slowly must not hold a place


class Endpoint:
    """One model behind the two routes."""

    def __init__(
        self,
        judge: Judging,
        settings: Settings,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """on_failure: called when the warm-up fails; `failure` says why."""
        self._judge, self._settings, self._on_failure = judge, settings, on_failure
        # An object may be sixteen times as large as a body: few are in memory at once.
        objects_at_once = self._settings.workers
        self._objects = Objects(self._settings.max_object_bytes, objects_at_once)
        self._readers = ThreadPoolExecutor(objects_at_once, thread_name_prefix="reader")
        self._places = asyncio.Semaphore(objects_at_once)
        self._metrics = Metrics(judge.card.name, judge.card.version)
        self._busy = 0
        self._warm = False
        self.failure: Exception | None = None

    def app(self) -> Starlette:
        """The ASGI application. It accepts connections at once, and images once it is warm."""
        routes = [
            Route("/ping", self._ping, methods=["GET"]),
            Route("/invocations", self._invocations, methods=["POST"]),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        background = [asyncio.create_task(self._warm_up()), asyncio.create_task(self._report())]
        yield
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        self._readers.shutdown(wait=True)
        self._judge.close()
        self._emit_metrics()

    async def _warm_up(self) -> None:
        try:
            await asyncio.to_thread(self._judge.warm_up)
            self._warm = True
        except Exception as error:  # noqa: BLE001 - the program ends with it, and its log says why
            self.failure = error
            self._on_failure()

    async def _report(self) -> None:
        while self._settings.report_seconds:
            await asyncio.sleep(self._settings.report_seconds)
            self._emit_metrics()

    def _emit_metrics(self) -> None:
        if self._settings.report_seconds and (line := self._metrics.line()):
            emit("endpoint", line)

    async def _ping(self, _: Request) -> Response:
        card = self._judge.card
        document = {"status": "ok" if self._warm else "warming_up"}
        return JSONResponse(
            document | {"model": {"name": card.name, "version": card.version}}, 200 if self._warm else 503
        )

    async def _invocations(self, request: Request) -> Response:
        try:
            return await self._admitted(request)
        except UnreadableError as error:
            refusal = RefusedError(422, error.code, str(error))
        except RefusedError as error:
            refusal = error
        except ClientDisconnect:
            return Response(status_code=499)  # nobody is left to read it
        except Exception as error:  # noqa: BLE001 - an error of ours is an answer, and counted
            refusal = internal(error)
        self._metrics.refused(refusal.status, refusal.code)
        content = {"error": {"code": refusal.code, "message": str(refusal)}}
        return JSONResponse(content, refusal.status, refusal.headers)

    async def _admitted(self, request: Request) -> Response:
        if not self._warm:
            raise RefusedError(503, "not_ready", "the model is warming up; try again shortly")
        if self._busy >= self._settings.workers + self._settings.waiting:
            raise RefusedError(503, "busy", "all workers are busy; try again shortly")
        self._busy += 1
        self._metrics.queued(self._busy)
        try:
            timings = Timings()
            kind = request.headers.get("content-type", MEDIA_TYPES[0]).split(";")[0].strip().lower()
            if kind == REFERENCE:
                reference = await _body(request, MAX_REFERENCE_BYTES)
                async with self._places:
                    loop = asyncio.get_running_loop()
                    data = await loop.run_in_executor(self._readers, self._objects.read, reference)
                    return await self._answer(data, timings)
            if not kind.startswith("image/") and kind not in MEDIA_TYPES:
                raise RefusedError(
                    415, "unsupported_media_type", f"send an image's bytes or {REFERENCE}, not {kind[:100]}"
                )
            return await self._answer(await _body(request, self._settings.max_body_bytes), timings)
        finally:
            self._busy -= 1

    async def _answer(self, data: bytes, timings: Timings) -> Response:
        timings.received = time.perf_counter()
        answer = await self._judge.answer(data, timings)
        self._metrics.answered((time.perf_counter() - timings.arrived) * 1000, answer.batch_size)
        return Response(answer.body, media_type="application/json")


async def _body(request: Request, limit: int) -> bytes:
    """The request's body, refused as soon as it is known to be too long."""
    declared = request.headers.get("content-length", "0")
    chunks: list[bytes] = []
    length = int(declared) if declared.isdecimal() else 0
    if length <= limit:
        length = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    length += len(chunk)
                    if length > limit:
                        break
                    chunks.append(chunk)
        except TimeoutError as error:
            raise RefusedError(
                503, "body_too_slow", f"the body did not arrive within {BODY_SECONDS:g} s"
            ) from error
    if length > limit:
        raise RefusedError(413, "body_too_large", f"the body is larger than {limit:,} bytes")
    return b"".join(chunks)

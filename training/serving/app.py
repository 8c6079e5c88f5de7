"""The endpoint's routes: POST /invocations answers one image, GET /ping tells whether the model is ready.

Lookout for Vision's DetectAnomalies has a route of its own, which answers in the form of that API.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from contract.images import UnreadableError
from training.job.container import emit
from training.serving import batch_transform, detect_anomalies
from training.serving.bodies import Bodies, encoding_of, unpacked
from training.serving.inference import Predictor, Timings
from training.serving.metrics import Metrics
from training.serving.negotiation import MEDIA_TYPES as ANSWER_TYPES
from training.serving.negotiation import Asked, Form, asked
from training.serving.objects import ObjectReader
from training.serving.refusals import OF_THE_IMAGE, RefusedError, internal_error
from training.serving.request_log import RequestLog
from training.serving.settings import Settings

_INVOCATIONS = "/invocations"
MEDIA_TYPES = ("application/octet-stream", "application/x-image", "binary/octet-stream")
REFERENCE = "application/json"
MAX_REFERENCE_BYTES = 16 * 1024


class _Application(Starlette):
    """Starlette, except for images: its middleware and routes cost more than all that this program does with one."""

    def __init__(self, answer_image: Callable[[Request], Awaitable[Response]], **options: Any) -> None:
        super().__init__(**options)
        self._answer_image = answer_image

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http" and scope["path"] == _INVOCATIONS and scope["method"] == "POST":
            response = await self._answer_image(Request(scope, receive, send))
            await response(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class Endpoint:
    """One model behind the two routes."""

    def __init__(
        self,
        predictor: Predictor,
        settings: Settings,
        on_failure: Callable[[], None] = lambda: None,
        on_warm: Callable[[], None] = lambda: None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Prepare the endpoint. The model warms up once the application starts.

        Args:
            predictor: Answers images.
            settings: The endpoint's limits.
            on_failure: Called when the warm-up fails; `failure` is then its error.
            on_warm: Called once images are answered.
            environment: In a transform job it says what the job has fixed.
        """
        self._predictor, self._settings = predictor, settings
        self._on_failure, self._on_warm = on_failure, on_warm
        self._execution_parameters = batch_transform.execution_parameters(
            environment, settings.workers, settings.batch, settings.max_body_bytes
        )
        # An object may be sixteen times as large as a body, so only a few are in memory at once.
        objects_at_once = self._settings.workers
        self._objects = ObjectReader(self._settings.max_object_bytes, objects_at_once)
        self._readers = ThreadPoolExecutor(objects_at_once, thread_name_prefix="reader")
        self._object_places = asyncio.Semaphore(objects_at_once)
        self._metrics = Metrics(predictor.card.name, predictor.card.version)
        self._log = RequestLog(self._settings.slow_ms, bool(self._settings.log_requests))
        self._places, self._inside = settings.workers + settings.waiting, 0
        self._bodies = Bodies(self._places * settings.max_body_bytes)
        self._warm = False
        self.failure: Exception | None = None

    def app(self) -> Starlette:
        """Return the ASGI application. It accepts connections at once, and images once the model is warm."""
        routes = [
            Route("/ping", self._ping, methods=["GET"]),
            Route(_INVOCATIONS, self._invocations, methods=["POST"]),
            Route(batch_transform.PATH, self._batch_transform, methods=["GET"]),
            Route(detect_anomalies.PATH, self._detect_anomalies, methods=["POST"]),
            Route(
                detect_anomalies.OTHER_PATHS,
                detect_anomalies.other_operation,
                methods=detect_anomalies.METHODS,
            ),
        ]
        return _Application(self._invocations, routes=routes, lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        background = [asyncio.create_task(self._warm_up()), asyncio.create_task(self._report())]
        yield
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        self._readers.shutdown(wait=True)
        self._predictor.close()
        self._emit_metrics()

    async def _warm_up(self) -> None:
        try:
            await asyncio.to_thread(self._predictor.warm_up)
            self._warm = True
            self._on_warm()
        except Exception as error:  # noqa: BLE001 - the program ends with it and logs it
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
        card = self._predictor.card
        document = {"status": "ok" if self._warm else "warming_up"}
        return JSONResponse(
            document | {"model": {"name": card.name, "version": card.version}}, 200 if self._warm else 503
        )

    async def _batch_transform(self, _: Request) -> Response:
        return JSONResponse(self._execution_parameters)

    async def _invocations(self, request: Request) -> Response:
        return await self._respond(
            request, None, _placeholder if self._settings.answer_unreadable else _refusal
        )

    async def _detect_anomalies(self, request: Request) -> Response:
        answered = await self._respond(request, Form.DETECT_ANOMALIES, detect_anomalies.refusal)
        return detect_anomalies.as_the_api(answered)

    async def _respond(
        self, request: Request, form: Form | None, refuse: Callable[[RefusedError], Response]
    ) -> Response:
        """Judge the image of a request.

        Args:
            request: With the image, or a reference to one.
            form: Of the answer; None: what the request accepts.
            refuse: Makes the response to a request that gets no answer.
        """
        timings = Timings()
        try:
            response = await self._admitted(request, timings, form)
        except UnreadableError as error:
            refusal = RefusedError(422, error.code, str(error))
        except RefusedError as error:
            refusal = error
        except ClientDisconnect:
            # The client has closed the connection: nobody reads this.
            return Response(status_code=499)
        except Exception as error:  # noqa: BLE001 - the client gets an answer, and the metrics count it
            refusal = internal_error(error)
        else:
            self._log.answered(request.headers, timings.elapsed())
            return response
        self._metrics.refused(refusal.status, refusal.code)
        self._log.refused(request.headers, timings.elapsed(), refusal)
        return refuse(refusal)

    async def _admitted(self, request: Request, timings: Timings, form: Form | None) -> Response:
        if not self._warm:
            raise RefusedError(503, "not_ready", "the model is warming up; try again shortly")
        self._refuse_if_full()
        settings = self._settings
        wanted = asked(
            request.headers,
            self._predictor.card,
            bool(settings.heat_map),
            form,
            settings.bit_depth or None,
        )
        # A transform job without a ContentType may send an empty one.
        media_type = (request.headers.get("content-type") or MEDIA_TYPES[0]).split(";")[0].strip().lower()
        is_reference = media_type == REFERENCE
        if not (is_reference or media_type.startswith("image/") or media_type in MEDIA_TYPES):
            raise RefusedError(
                415,
                "unsupported_media_type",
                f"send an image's bytes or {REFERENCE}, not {media_type[:100]}",
            )
        encoding_of(request)
        limit = MAX_REFERENCE_BYTES if is_reference else settings.max_body_bytes
        body = await self._bodies.read(request, limit)
        # Only now it needs a place: a client that sends slowly must not keep others out.
        self._refuse_if_full()
        self._inside += 1
        self._metrics.queued(self._inside)
        try:
            data = await unpacked(body, request, limit)
            if not is_reference:
                return await self._answer(data, timings, wanted)
            async with self._object_places:
                loop = asyncio.get_running_loop()
                data = await loop.run_in_executor(self._readers, self._objects.read, data)
                return await self._answer(data, timings, wanted)
        finally:
            self._inside -= 1

    def _refuse_if_full(self) -> None:
        if self._inside >= self._places:
            raise RefusedError(429, "busy", "all workers are busy; try again shortly")

    async def _answer(self, data: bytes, timings: Timings, wanted: Asked) -> Response:
        timings.received = time.perf_counter()
        answer = await self._predictor.answer(data, timings, wanted)
        self._metrics.answered(timings.elapsed(), answer.batch_size)
        return Response(answer.body, media_type=ANSWER_TYPES[wanted.form])


def _refusal(refusal: RefusedError) -> Response:
    content = {"error": {"code": refusal.code, "message": str(refusal)}}
    return JSONResponse(content, refusal.status, refusal.headers)


def _placeholder(refusal: RefusedError) -> Response:
    """Answer as `_refusal` does, but with a status of 200 if the image is at fault: the client keeps this answer.

    https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-errors.html: "you can use placeholder text, such as
    ERROR, when the algorithm finds a bad record".
    """
    response = _refusal(refusal)
    if refusal.status in OF_THE_IMAGE:
        response.status_code = 200
    return response

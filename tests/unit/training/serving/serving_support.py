"""The endpoint, spoken straight to its ASGI application: no socket."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from contract.endpoint import ATTRIBUTES_HEADER
from training.model.artefact import ModelCard
from training.model.decoding import Detections, Postprocess
from training.model.models import Models
from training.serving.app import Endpoint
from training.serving.inference import ThreadPredictor
from training.serving.settings import Settings
from training.serving.workers import Workers

LABELS = ("dark", "bright")


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def document(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.document["error"]["code"]


async def call(
    app,
    body=b"",
    path="/invocations",
    method="POST",
    content_type="image/jpeg",
    chunk=65536,
    attributes="",
    encoding=None,
    accept=None,
):
    pieces = [body[i : i + chunk] for i in range(0, len(body), chunk)] or [b""]
    answer = Answer()

    async def receive():
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    headers = [(b"content-type", content_type.encode())]
    if attributes:
        headers.append((ATTRIBUTES_HEADER.lower().encode(), attributes.encode()))
    if encoding is not None:
        headers.append((b"content-encoding", encoding.encode()))
    if accept is not None:
        headers.append((b"accept", accept.encode()))
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
    await app(scope | {"http_version": "1.1", "scheme": "http", "root_path": ""}, receive, send)
    return answer


async def refer(app, reference):
    return await call(app, json.dumps(reference).encode(), content_type="application/json")


def models_of(model):
    return model if isinstance(model, Models) else Models(model, None, model.card)


@asynccontextmanager
async def running(model, settings=None, warm=True, **options):
    """The application, started and, unless told otherwise, warm; it is ended after the block.

    model: a detector, the models of an artefact, or Workers, which have theirs.
    """
    settings = settings or Settings()
    predictor = model if isinstance(model, Workers) else ThreadPredictor(models_of(model), settings)
    endpoint = Endpoint(predictor, settings, **options)
    app = endpoint.app()
    async with app.router.lifespan_context(app):
        while warm and (await call(app, path="/ping", method="GET")).status != 200:
            assert endpoint.failure is None, endpoint.failure
            await asyncio.sleep(0.005)
        yield app


def ask(model, *bodies, settings=None, **options):
    """The answers to bodies sent one after the other."""

    async def all_of_them():
        async with running(model, settings) as app:
            return [await call(app, body, **options) for body in bodies]

    return asyncio.run(all_of_them())


class Brightness:
    """A detector at no cost: one box, whose score is the picture's mean brightness."""

    def __init__(self, tiles=None):
        self.card = ModelCard(
            "brightness", "fake", LABELS, 32, {}, Postprocess(), onnx_sha256="f" * 64, tiles=tiles
        )
        self.batches = []

    def detect(self, pixels):
        self.batches.append(len(pixels))
        return [self._one(image) for image in pixels]

    def _one(self, pixels):
        mean = np.float32(pixels.mean() / 255)
        label = np.array([int(mean > 0.5)])
        return Detections(np.array([[0.25, 0.25, 0.75, 0.75]], np.float32), mean[None], label)


def beside(alone, tiles=None, **changes):
    """A detector that sees brightness, with the anomaly model beside it. changes: of the detector's card."""
    detector = Brightness(tiles)
    card = alone.card
    detector.card = replace(
        detector.card, anomaly_model={"name": card.name, "version": card.version}, **changes
    )
    return Models(detector, alone.anomaly, detector.card)


def png(shade, size=(8, 8)):
    buffer = io.BytesIO()
    Image.new("L", size, shade).save(buffer, "PNG")
    return buffer.getvalue()

"""The endpoint's contract, spoken straight to the ASGI application: no socket."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, field

import pytest

from training.datasets.synthetic import draw
from training.serving.app import Endpoint, Limits


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def document(self):
        return json.loads(self.body)


async def call(app, body=b"", path="/invocations", method="POST", content_type="image/jpeg", chunk=65536):
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
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
    await app(scope | {"http_version": "1.1", "scheme": "http", "root_path": ""}, receive, send)
    return answer


@pytest.fixture
def jpeg(encode):
    return encode(draw(3, 7, kind="patches")[0], "JPEG")


@pytest.fixture
def app(starter):
    return Endpoint(starter).app()


def test_an_image_is_answered_by_the_contract(app, jpeg, starter):
    answer = asyncio.run(call(app, jpeg))

    assert answer.status == 200
    document = answer.document
    assert document["model"] == {"name": "starter", "version": starter.card.version}
    assert (document["image"]["width"], document["image"]["height"]) == (200, 200)
    assert document["detections"][0]["label"] == "patches"
    scores = [each["score"] for each in document["detections"]]
    assert scores == sorted(scores, reverse=True)
    for x1, y1, x2, y2 in (each["box"] for each in document["detections"]):
        assert 0 <= x1 < x2 <= 200
        assert 0 <= y1 < y2 <= 200
    assert set(document["quality"]) == {"sharpness", "exposure", "clipped"}
    assert set(document["timings_ms"]) == {"queue", "decode", "inference", "total"}


def test_ping_names_the_model(app, starter):
    answer = asyncio.run(call(app, path="/ping", method="GET"))
    assert answer.status == 200
    assert answer.document["model"]["version"] == starter.card.version


@pytest.mark.parametrize(
    "kind", ["application/octet-stream", "image/png", "application/x-image", "image/jpeg; q=1"]
)
def test_the_content_decides_not_the_declared_image_type(app, jpeg, kind):
    assert asyncio.run(call(app, jpeg, content_type=kind)).status == 200


def test_what_is_not_declared_as_an_image_is_refused(app):
    answer = asyncio.run(call(app, b"{}", content_type="text/html"))
    assert (answer.status, answer.document["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("body", "code"), [(b"", "empty_image"), (b"hello", "unsupported_format"), ("cut", "corrupt_image")]
)
def test_an_unreadable_image_gets_a_typed_error(app, jpeg, body, code):
    answer = asyncio.run(call(app, jpeg[: len(jpeg) // 2] if body == "cut" else body))
    assert (answer.status, answer.document["error"]["code"]) == (422, code)
    assert answer.document["error"]["message"]


def test_a_body_beyond_the_cap_is_refused_while_it_arrives(starter):
    app = Endpoint(starter, Limits(body_bytes=1000)).app()
    answer = asyncio.run(call(app, b"x" * 5000, chunk=100))
    assert (answer.status, answer.document["error"]["code"]) == (413, "body_too_large")


def test_an_image_beyond_the_pixel_cap_is_refused(starter, jpeg):
    answer = asyncio.run(call(Endpoint(starter, Limits(pixels=100)).app(), jpeg))
    assert (answer.status, answer.document["error"]["code"]) == (422, "too_many_pixels")


def test_when_all_workers_and_places_are_taken_the_answer_is_503_and_later_200(starter, jpeg, monkeypatch):
    release = threading.Event()
    detect = starter.detect

    def slow(*arguments):
        release.wait(10)
        return detect(*arguments)

    monkeypatch.setattr(starter, "detect", slow)
    app = Endpoint(starter, Limits(workers=1, waiting=1)).app()

    async def crowd():
        first = [asyncio.create_task(call(app, jpeg)) for _ in range(2)]
        await asyncio.sleep(0.1)
        refused = await call(app, jpeg)
        release.set()
        return refused, await asyncio.gather(*first), await call(app, jpeg)

    refused, accepted, later = asyncio.run(crowd())
    assert (refused.status, refused.document["error"]["code"]) == (503, "busy")
    assert refused.headers["retry-after"] == "1"
    assert [answer.status for answer in (*accepted, later)] == [200, 200, 200]


def test_an_error_never_echoes_the_image(app):
    answer = asyncio.run(call(app, b"CANARY-7f3a" * 10))
    assert b"CANARY" not in answer.body

"""The endpoint's HTTP: for any bytes of a connection its answers are whole, and the next client is served."""

from __future__ import annotations

import asyncio
import io
import random
from functools import cache

import httptools
import uvicorn
from PIL import Image
from uvicorn.server import ServerState

from tests.fuzz.mutation import mutate_bytes
from tests.fuzz.target import Target
from tests.unit.training.serving.serving_support import Brightness, models_of
from training.serve import _server_settings
from training.serving.app import Endpoint
from training.serving.inference import ThreadPredictor
from training.serving.protocol import HttpProtocol
from training.serving.settings import Settings

_LINES = (
    *(b"Expect: 100-continue", b"Connection: close", b"Connection: Upgrade", b"Upgrade: h2c"),
    *(b"Content-Encoding: gzip", b"Content-Type: application/json", b"Accept: image/png", b"Host: x"),
    *(b"X-Amzn-SageMaker-Custom-Attributes: bit-depth=99; heat-map=1", b"Transfer-Encoding: chunked"),
    *(b"Content-Length: 5", b"Content-Length: 99999999999", b"Content-Length: -1", b"X: " + b"y" * 40_000),
)


class Wire(asyncio.Transport):
    """A transport to nobody, which keeps what is sent."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.sent, self.closed = b"", False

    def write(self, data: bytes) -> None:
        """Keep what is sent."""
        if not self.closed:
            self.sent += data

    def close(self) -> None:
        """End the connection."""
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        """Whether the connection has ended."""
        return self.closed

    def pause_reading(self) -> None:
        """Nothing more comes anyway."""

    resume_reading = pause_reading


@cache
def _image() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), 200).save(buffer, "PNG")
    return buffer.getvalue()


def _post(body: bytes, *lines: bytes) -> bytes:
    head = [b"POST /invocations HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


@cache
def seeds() -> list[bytes]:
    """Return whole connections."""
    image, ping = _image(), b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    reference = b'{"s3": {"bucket": "b", "key": "k", "version_id": 7}}'
    chunked = (
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    )
    return [
        ping,
        ping * 3,
        _post(image, b"Content-Type: image/png"),
        _post(image, b"Content-Type: image/png") + ping,
        _post(reference, b"Content-Type: application/json"),
        chunked % (len(image), image),
        b"POST /2020-11-20/projects/p/models/1/detect HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
        % (len(image), image),
        b"GET /execution-parameters HTTP/1.0\r\n\r\n",
    ]


def _mutated(data: bytes, rng: random.Random, seeds: list[bytes]) -> bytes:
    if rng.random() < 0.5:
        head, end, rest = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        for _ in range(rng.randint(1, 4)):
            lines.insert(rng.randint(1, len(lines)), rng.choice(_LINES))
        data = b"\r\n".join(lines) + end + rest
    return mutate_bytes(data, rng, seeds) if rng.random() < 0.7 else data


class _Answers:
    """Reads a stream of answers; raises an error of httptools if they are none."""

    def __init__(self, data: bytes) -> None:
        self.begun = self.ended = 0
        for part in data.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"").split(b"HTTP/1.1 ")[1:]:
            httptools.HttpResponseParser(self).feed_data(b"HTTP/1.1 " + part)

    def on_message_begin(self) -> None:
        """Count an answer."""
        self.begun += 1

    def on_message_complete(self) -> None:
        """Count a whole answer."""
        self.ended += 1


async def _connection(config: uvicorn.Config, state: ServerState, data: bytes) -> tuple[Wire, HttpProtocol]:
    wire = Wire()
    protocol = HttpProtocol(config, state, {}, asyncio.get_running_loop())
    protocol.connection_made(wire)
    cut = len(data) // 3
    for part in (data[:cut], data[cut:]):
        if part and not wire.closed:
            protocol.data_received(part)
        await asyncio.sleep(0)
    return wire, protocol


async def _serve(data: bytes) -> str | None:
    loop = asyncio.get_running_loop()
    errors: list[str] = []
    loop.set_exception_handler(lambda _, context: errors.append(str(context)))
    settings = Settings(workers=1, waiting=2, report_seconds=0)
    endpoint = Endpoint(ThreadPredictor(models_of(Brightness()), settings), settings)
    config, state = _server_settings(endpoint), ServerState()
    config.load()
    app = endpoint.app()
    async with app.router.lifespan_context(app):
        config.loaded_app = app
        while not endpoint._warm:
            await asyncio.sleep(0.001)
        wire, protocol = await _connection(config, state, data)
        other, also = await _connection(config, state, _post(_image(), b"Content-Type: image/png"))
        while state.tasks and not other.sent:
            await asyncio.sleep(0.001)
        # The end of the client: what waits for more of its body learns of it.
        for each in (protocol, also):
            each.connection_lost(None)
        await asyncio.gather(*state.tasks, return_exceptions=True)
    answers = _Answers(wire.sent)
    if errors:
        return errors[0]
    if not other.sent.startswith(b"HTTP/1.1 200") and b"busy" not in other.sent:
        return f"the next client got {other.sent[:100]!r}"
    return None if answers.begun == answers.ended else f"an answer without an end: {wire.sent[-100:]!r}"


def broken(data: bytes) -> str | None:
    """Send the bytes over a connection, and a good image over another one."""
    return asyncio.run(_serve(data))


TARGET = Target("serving_requests", (32,), seeds, broken, _mutated, examples=60)

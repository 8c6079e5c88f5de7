"""The endpoint's server against clients that send slowly, much, or nothing: a good image is judged meanwhile."""

from __future__ import annotations

import json
import resource
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn

from tests.unit.training.serving.serving_support import Brightness, models_of, png
from training.serve import _server_settings
from training.serving import bodies, protocol
from training.serving.app import Endpoint
from training.serving.inference import ThreadPredictor
from training.serving.settings import Settings

pytestmark = pytest.mark.promise(32)
GOOD = png(200)
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"


class Client:
    """A connection that sends bytes as they are."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Client:
        self.socket.sendall(data)
        return self

    def status(self) -> int:
        """The status of the next answer; 0 if the connection ends without one."""
        received = b""
        while b"\r\n\r\n" not in received:
            try:
                more = self.socket.recv(65536)
            except ConnectionError:
                return 0
            if not more:
                return 0
            received += more
        return int(received.split(b" ", 2)[1])

    def is_open(self) -> bool:
        """Whether neither an answer nor an end has arrived."""
        events = select.poll()
        events.register(self.socket, select.POLLIN)
        return not events.poll(0)


def judged(port: int) -> int:
    """The status of a good image on a new connection."""
    with Client(port) as client:
        return client.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD).status()


def pings(port: int) -> int:
    """The status of /ping on a new connection."""
    with Client(port) as client:
        return client.send(PING).status()


@contextmanager
def serving(settings: Settings, model: Brightness | None = None) -> Iterator[int]:
    """The port of a server."""
    predictor = ThreadPredictor(models_of(model or Brightness()), settings)
    endpoint = Endpoint(predictor, settings)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        server = uvicorn.Server(_server_settings(endpoint))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        port = int(listener.getsockname()[1])
        try:
            while pings(port) != 200:
                assert thread.is_alive()
            yield port
        finally:
            server.should_exit = True
            thread.join(60)


@pytest.fixture
def port() -> Iterator[int]:
    with serving(Settings(workers=2, waiting=4, report_seconds=0)) as running:
        yield running


@pytest.fixture
def connect(port: int) -> Iterator[Callable[..., list[Client]]]:
    """Opens connections, each of which sends some bytes and then nothing."""
    with ExitStack() as stack:
        yield lambda number, data: [stack.enter_context(Client(port)).send(data) for _ in range(number)]


@pytest.fixture
def many_files() -> Iterator[None]:
    """Both ends of a thousand connections are files of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_thousand_half_open_connections_keep_nobody_out(port, connect, tried):
    with ExitStack() as stack:
        waiting = [stack.enter_context(Client(port)).send(HEAD[:40]) for _ in range(1000)]
        tried(inputs=1000)
        assert [judged(port) for _ in range(5)] == [200] * 5
        still_open = sum(client.is_open() for client in waiting)
        assert 0 < still_open <= protocol.MAX_CONNECTIONS


class Held(Brightness):
    """Judges a picture once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may = threading.Event(), threading.Event()

    def detect(self, pixels):  # type: ignore[no-untyped-def]
        if pixels[0].any() and not self.may.is_set():
            self.begun.set()
            assert self.may.wait(60)
        return super().detect(pixels)


def test_a_connection_whose_image_is_judged_never_makes_room(monkeypatch, tried):
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 20)
    model, settings = Held(), Settings(workers=2, waiting=4, report_seconds=0)
    with serving(settings, model) as port, ExitStack() as stack, Client(port) as judged_now:
        judged_now.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD)
        assert model.begun.wait(60)
        for data in (b"", HEAD[:40], HEAD + b"Content-Length: 100\r\n\r\nx"):
            waiting = [stack.enter_context(Client(port)).send(data) for _ in range(40)]
            tried(inputs=40)
            assert pings(port) == 200
            assert sum(client.is_open() for client in waiting) < 20
        model.may.set()
        assert judged_now.status() == 200


ENDLESS_HEADS = {
    "a long line": (b"GET /", b"x" * 50_000),
    "a long header": (HEAD + b"X-Long: ", b"x" * 50_000),
    "many headers": (HEAD, b"".join(b"X-%d: y\r\n" % n for n in range(5000))),
    "many empty headers": (HEAD, b"a:\r\n" * 10_000),
    "trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"X-Trailer: y\r\n" * 4000),
    "a chunk's extension": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 50_000),
    "requests at once": (HEAD + b"Content-Length: 9\r\n\r\n", b"x" * 9 + PING * 5000),
}


@pytest.mark.parametrize("name", ENDLESS_HEADS)
def test_a_head_without_end_is_refused_before_it_takes_memory(port, name, tried):
    first, more = ENDLESS_HEADS[name]
    sent = 0
    with Client(port) as client:
        client.send(first)
        try:
            # 300 MB if nobody stops it. What the kernel buffers is sent whoever reads it.
            while sent < 300_000_000 and client.is_open():
                client.socket.sendall(more)
                sent += len(more)
        except ConnectionError:
            pass
        tried(inputs=1)
        assert sent < 30_000_000
        assert client.status() in (0, 200, 413, 422, 431)
    assert judged(port) == 200


@pytest.mark.parametrize("name", ["a long line", "a long header", "many headers", "many empty headers"])
def test_a_head_that_is_too_large_is_told_so(port, name):
    first, more = ENDLESS_HEADS[name]
    with Client(port) as client:
        assert client.send(first + more[:34_000]).status() == 431


def test_a_head_as_large_as_sagemaker_sends_is_taken(port):
    attributes = b"X-Amzn-SageMaker-Custom-Attributes: " + b"a" * 1024 + b"\r\n"
    others = b"".join(b"X-Amzn-%d: %b\r\n" % (n, b"v" * 200) for n in range(40))
    with Client(port) as client:
        client.send(HEAD + attributes + others + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD)
        assert client.status() == 200


def test_a_head_that_does_not_end_in_time_is_answered_408(port, monkeypatch, connect, tried):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    begun, silent = connect(5, HEAD[:40]), connect(5, b"")
    between = connect(5, PING + HEAD[:40])
    tried(inputs=15)
    assert judged(port) == 200
    assert [client.status() for client in begun] == [408] * 5
    assert [client.status() for client in silent] == [0] * 5
    assert [client.status() for client in between] == [200] * 5
    assert judged(port) == 200


@pytest.mark.parametrize("number", [60, 300])
def test_slow_bodies_keep_nobody_out(port, connect, number, tried):
    slow = connect(number, HEAD + b"Content-Length: 1000\r\n\r\nx")
    chunked = connect(number, HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
    tried(inputs=2 * number)
    assert [judged(port) for _ in range(5)] == [200] * 5
    # They have not been given up meanwhile, but for those that made room.
    assert sum(client.is_open() for client in [*slow, *chunked]) >= min(2 * number, 500)


def test_a_slow_body_is_answered_408_and_its_connection_ends(port, connect, monkeypatch, tried):
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    slow = connect(60, HEAD + b"Content-Length: 1000\r\n\r\nx")
    tried(inputs=60)
    assert judged(port) == 200
    for client in slow:
        assert client.status() == 408
        while client.socket.recv(65536):
            pass


def test_slow_bodies_that_fill_the_memory_make_room(monkeypatch, tried):
    monkeypatch.setattr(bodies, "_PATIENCE_SECONDS", 0.05)
    size = 1_000_000
    settings = Settings(workers=1, waiting=1, max_body_bytes=size, report_seconds=0)
    with serving(settings) as port, ExitStack() as stack:
        head = HEAD + b"Content-Length: %d\r\n\r\n" % size
        slow = [stack.enter_context(Client(port)).send(head + bytes(size - 1)) for _ in range(10)]
        tried(inputs=10)
        large = HEAD + b"Content-Length: %d\r\n\r\n" % size + GOOD + bytes(size - len(GOOD))
        statuses = []
        while 200 not in statuses:
            statuses.append(stack.enter_context(Client(port)).send(large).status())
        assert set(statuses) <= {200, 429}
        given_up = [client.status() for client in slow if not client.is_open()]
        assert len(given_up) >= 8
        assert set(given_up) <= {408, 429}


def test_the_rest_of_a_refused_body_is_not_awaited_for_ever(port, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    with Client(port) as client:
        client.send(HEAD + b"Content-Length: 900000000\r\n\r\nx")
        assert client.status() == 413
        client.send(b"x")
        while client.socket.recv(65536):
            pass


def test_a_refused_body_that_arrives_leaves_the_connection_open(port):
    with Client(port) as client:
        body = bytes(7 * 1024 * 1024)
        assert client.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body).status() == 413
        assert client.send(PING).status() == 200


def test_an_answer_has_its_head_and_its_body_in_one_piece(port):
    with Client(port) as client:
        received = client.send(PING).socket.recv(65536)
        assert json.loads(received.partition(b"\r\n\r\n")[2])["status"] == "ok"

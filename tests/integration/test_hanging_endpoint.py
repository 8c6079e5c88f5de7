"""An endpoint that hangs: what is tried and how long that takes fit into the time that the function has left.

The endpoint is a socket of this machine, and the client is the function's own, at a twentieth of its times.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.config import Config

from handlers import inspect
from inspection import clients, detector
from inspection.detector import Detector
from inspection.errors import NotReadyError
from tests.inspection_support import jpeg, message
from tests.integration.moto_cloud import Cloud
from tests.promises import Tell

pytestmark = pytest.mark.promise(13)
SCALE = 0.05
ATTEMPTS = 2
# A second of it is the pause between the attempts, which is not smaller here.
STATED_S = 1 + (clients.ENDPOINT_SECONDS - 1) * SCALE
BUSY_S = 2  # other tests keep the cores busy
ALL_S = 60
_HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"


class Hanging:
    """Accepts connections, reads requests, and never gives a whole answer.

    Attributes:
        begins: What it answers before it hangs.
        requests: How many requests have come.
        url: Its address.
    """

    def __init__(self, begins: bytes) -> None:
        self.begins, self.requests = begins, 0
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._hang, args=(connection,), daemon=True).start()

    def _hang(self, connection: socket.socket) -> None:
        if connection.recv(65536):
            self.requests += 1
            connection.sendall(self.begins)

    def close(self) -> None:
        for opened in (self._server, *self._open):
            opened.close()


@pytest.fixture
def hang(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], tuple[Hanging, Any]]]:
    """Start an endpoint that hangs, and return it with the function's client of it."""
    started: list[Hanging] = []

    def start(begins: bytes) -> tuple[Hanging, Any]:
        endpoint = Hanging(begins)
        started.append(endpoint)
        usual: Any = clients._ENDPOINT
        smaller = Config(
            connect_timeout=usual.connect_timeout * SCALE, read_timeout=usual.read_timeout * SCALE
        )
        monkeypatch.setattr(clients, "_ENDPOINT", usual.merge(smaller))
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", endpoint.url)
        runtime = clients.sagemaker_runtime()
        # The cloud of these tests answers in the place of a socket. This one asks the socket.
        cloud.endpoint = runtime._endpoint.http_session.send  # type: ignore[attr-defined]
        return endpoint, runtime

    yield start
    for endpoint in started:
        endpoint.close()


def test_a_hanging_endpoint_is_asked_as_often_as_is_stated_and_no_longer(
    hang: Callable[[bytes], tuple[Hanging, Any]], tried: Tell
) -> None:
    endpoint, runtime = hang(b"")
    began = time.monotonic()
    with pytest.raises(NotReadyError) as caught:
        Detector(runtime, clients.sagemaker(), "x").detect(b"image", "image/png", began + ALL_S)
    assert time.monotonic() - began < STATED_S + BUSY_S
    assert caught.value.code == "endpoint_timeout"
    assert endpoint.requests == ATTEMPTS
    tried(faults=endpoint.requests)


@pytest.mark.parametrize("begins", [b"", _HEADERS], ids=["no answer", "half an answer"])
def test_a_batch_ends_in_its_time_and_all_of_it_waits_if_the_endpoint_hangs(
    cloud: Cloud,
    hang: Callable[[bytes], tuple[Hanging, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tried: Tell,
    begins: bytes,
) -> None:
    endpoint, runtime = hang(begins)
    monkeypatch.setattr(inspect._inspector().detector, "_runtime", runtime)
    monkeypatch.setattr(detector, "ENDPOINT_SECONDS", STATED_S)
    announced = [cloud.put(f"incoming/a/b/{number}.jpg", jpeg()) for number in range(10)]
    left = STATED_S + detector._RESERVE_SECONDS + BUSY_S

    began = time.monotonic()
    batch = [message(record, number=number) for number, record in enumerate(announced)]
    assert cloud.inspect(*batch, seconds=left) == []

    assert time.monotonic() - began < left
    assert cloud.deferred() == len(batch)
    assert cloud.records() == []
    # An answer that has begun is not asked for again.
    assert endpoint.requests == len(batch) * (1 if begins else ATTEMPTS)
    tried(faults=endpoint.requests, inputs=len(batch))


def test_no_call_begins_that_leaves_no_time_to_send_the_image_back(
    hang: Callable[[bytes], tuple[Hanging, Any]],
) -> None:
    endpoint, runtime = hang(b"")
    with pytest.raises(NotReadyError, match="too little time"):
        Detector(runtime, clients.sagemaker(), "x").detect(
            b"image", "image/png", time.monotonic() + clients.ENDPOINT_SECONDS + 1
        )
    assert endpoint.requests == 0

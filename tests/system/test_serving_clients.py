"""The endpoint and clients that speak HTTP in their own way: one server, real sockets."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = (ROOT / "samples/line-2/bottom/SN1003.jpg").read_bytes()
OFFER = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a served model."""
    model = str(ROOT / "models/starter/model.tar.gz")
    command = [sys.executable, "-m", "training.serve", "--model", model, "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()
        assert process.wait(60) == 0


def post(body: bytes, headers: str, length: bool = True) -> bytes:
    """Return a request for the verdict of an image, as bytes."""
    size = f"Content-Length: {len(body)}\r\n" if length else "Transfer-Encoding: chunked\r\n"
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n{headers}{size}\r\n"
    return head.encode() + (body if length else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))


_LAST = b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def exchange(url: str, *pieces: bytes, last: bytes = _LAST) -> bytes:
    """Send pieces one after the other, then the last request of the connection; return all answers."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (*pieces, last):
            connection.sendall(piece)
        answers = b""
        while received := connection.recv(65536):
            answers += received
    return answers


def judged(answers: bytes) -> int:
    """Return how many of the answers are a verdict on the image."""
    assert b"empty_image" not in answers
    assert answers.count(b'"status":"ok"') == 1  # the last request
    return answers.count(b'"detections":[{"label":"patches"')


@pytest.mark.parametrize("cut", [None, 30, 150, "head", -10])
@pytest.mark.parametrize("length", [True, False], ids=["length", "chunked"])
def test_an_offer_of_http_2_is_ignored_and_the_image_is_judged(
    url: str, cut: int | str | None, length: bool
) -> None:
    request = post(IMAGE, OFFER, length)
    where = request.index(b"\r\n\r\n") + 4 if cut == "head" else cut
    pieces = [request] if where is None else [request[:where], request[where:]]
    assert judged(exchange(url, *pieces)) == 1


def test_pipelined_requests_with_an_offer_are_answered_one_after_the_other(url: str) -> None:
    assert judged(exchange(url, post(IMAGE, OFFER) * 2 + post(IMAGE, "") + post(IMAGE, OFFER))) == 4


def test_an_offer_of_a_websocket_is_ignored_and_connect_is_refused(url: str) -> None:
    websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"
    assert judged(exchange(url, post(IMAGE, websocket))) == 1
    # Nothing more: the server closes the connection, and what it has not read would reset it.
    answers = exchange(url, last=b"CONNECT /x HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answers.startswith(b"HTTP/1.1 400")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize("options", [["--http2"], ["--http2", "-H", "Expect: 100-continue"], ["--http1.0"]])
def test_curl_gets_a_verdict_whatever_protocol_it_would_like(url: str, options: list[str]) -> None:
    command = [
        "curl",
        "-sS",
        *options,
        "--data-binary",
        "@-",
        "-H",
        "Content-Type: image/jpeg",
        f"{url}/invocations",
    ]
    answer = subprocess.run(command, input=IMAGE, capture_output=True, check=True, timeout=60).stdout
    assert json.loads(answer)["detections"][0]["label"] == "patches"


def test_a_packed_image_is_judged_with_and_without_an_offer(url: str) -> None:
    packed = gzip.compress(IMAGE)
    assert judged(exchange(url, post(packed, "Content-Encoding: gzip\r\n"))) == 1
    assert judged(exchange(url, post(packed, OFFER + "Content-Encoding: gzip\r\n"))) == 1

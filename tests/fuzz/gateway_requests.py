"""The local cloud's entrance: for any head of a request nobody unknown gets in, and no large body of one is kept."""

from __future__ import annotations

import asyncio
import random
from functools import cache
from typing import Any
from unittest.mock import Mock
from urllib.parse import unquote_to_bytes

import h11

from tests.fuzz.mutation import mutate_bytes
from tests.fuzz.target import Target

PORT, ROOT = 21000, "LKIAROOTROOTROOT"
_TAKEN = 1 << 20
_SIGNED = (
    "AWS4-HMAC-SHA256 Credential={}/20260131/us-east-1/{}/aws4_request, SignedHeaders=host, Signature={}"
)
_QUERY = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}%2F20260131%2Fus-east-1%2Fs3%2Faws4_request"


@cache
def seeds() -> list[bytes]:
    """Return whole requests of each kind of client."""
    heads = [
        "PUT /bucket/key HTTP/1.1\r\nAuthorization: " + _SIGNED.format("AKIASTRANGER", "s3", "0" * 64),
        "PUT /bucket/key HTTP/1.1\r\nAuthorization: "
        + _SIGNED.format(ROOT, "s3", "0" * 64)
        + "\r\nX-Amz-Content-SHA256: UNSIGNED-PAYLOAD\r\nX-Amz-Date: 20260131T000000Z",
        f"PUT /bucket/key?{_QUERY.format('AKIASTRANGER')}&X-Amz-Signature=00&X-Amz-SignedHeaders=host HTTP/1.1",
        "PUT /bucket/key?AWSAccessKeyId=AKIASTRANGER&Signature=00&Expires=9 HTTP/1.1",
        "POST / HTTP/1.1\r\nX-Amz-Target: AWSCognitoIdentityProviderService.InitiateAuth",
        "POST / HTTP/1.1\r\nX-Amz-Target: SageMaker.ListEndpoints\r\nAuthorization: "
        + _SIGNED.format("AKIASTRANGER", "sagemaker", "0" * 64),
        "POST /endpoints/x/invocations HTTP/1.1\r\nAuthorization: "
        + _SIGNED.format("test", "sagemaker", "00"),
        "GET /_ministack/reset HTTP/1.1",
        "GET /bucket HTTP/1.1\r\nOrigin: http://evil.example\r\nAuthorization: AWS AKIASTRANGER:x=",
    ]
    sizes = (5, 5_000_000)
    return [
        f"{head}\r\nHost: 127.0.0.1:{PORT}\r\nContent-Length: {size}\r\n\r\n".encode()
        for head in heads
        for size in sizes
    ]


def _mutated(data: bytes, rng: random.Random, seeds: list[bytes]) -> bytes:
    if rng.random() < 0.5:
        # Lines of another client's request.
        others = rng.choice(seeds).split(b"\r\n")[1:-2]
        lines = data.split(b"\r\n")
        lines[1:1] = rng.sample(others, rng.randint(0, len(others)))
        data = b"\r\n".join(lines)
    return mutate_bytes(data, rng, seeds) if rng.random() < 0.6 else data


def _scope(data: bytes) -> dict[str, Any] | None:
    """ASGI's description of a request, as the server makes it; None if it is none."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    try:
        connection.receive_data(data)
        request = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(request, h11.Request):
        return None
    path, _, query = request.target.partition(b"?")
    return {
        "type": "http",
        "method": request.method.decode(),
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "headers": list(request.headers),
        "client": ("127.0.0.1", 1),
        "scheme": "http",
    }


async def _ask(scope: dict[str, Any], size: int) -> tuple[int | None, int, list[int]]:
    """Returns how much of a body the services got (None: they were not asked), and the statuses of the answers."""
    from localcloud import gateway

    got: list[int] = []
    left = [min(65536, size - start) for start in range(0, size, 65536)] or [0]
    statuses: list[int] = []

    async def services(_: Any, receive: Any, send: Any) -> None:
        got.append(0)
        while (message := await receive())["type"] == "http.request":
            got[0] += len(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        part = left.pop(0) if left else 0
        return {"type": "http.request", "body": bytes(part), "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await gateway.Gateway(PORT, ROOT, Mock(), services)(scope, receive, send)
    return (got[0] if got else None), len(left), statuses


def broken(data: bytes) -> str | None:
    """Send a request with a body as long as it says."""
    scope = _scope(data)
    if scope is None:
        return None
    headers = {name.lower(): value for name, value in scope["headers"]}
    length = headers.get(b"content-length", b"")
    got, _, statuses = asyncio.run(_ask(scope, min(int(length), 5_000_000) if length.isdigit() else 100))
    if len(statuses) != 1:
        return f"{len(statuses)} answers"
    if got is None:
        return None if statuses[0] >= 400 else f"a status of {statuses[0]}"
    if headers.get(b"host") not in (b"127.0.0.1:%d" % PORT, b"localhost:%d" % PORT):
        return "another host got in"
    if b"origin" in headers or scope["path"].startswith("/_"):
        return "a page, or whoever asks for the administration, got in"
    named = any(mark in data for mark in (b"AWS4", b"AWS ", b"AWSAccessKeyId", b"X-Amz-Credential"))
    if not named and b"AWSCognitoIdentityProviderService." not in data:
        return "an unsigned request got in"
    return f"{got:,} bytes of a stranger were kept" if got > _TAKEN else None


TARGET = Target("gateway_requests", (32,), seeds, broken, _mutated, examples=60)

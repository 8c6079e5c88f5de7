"""Refuses uploads while the disk is full, before anything of them is stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4
from xml.sax.saxutils import escape

from localcloud.home.space import Space

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_App = Callable[[Scope, Receive, Send], Awaitable[None]]

_S3 = "/s3/aws4_request"


class FullDisk:
    """An ASGI application in front of another one.

    S3's clients try a 503 again by themselves, and then print the code and the message:
    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. What frees space is let through.
    """

    def __init__(self, app: _App, space: Space) -> None:
        self._app, self._space = app, space

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        size = upload_size(scope)
        reason = None if size is None else self._space.lack(size)
        if reason is None:
            await self._app(scope, receive, send)
            return
        # Read, but not kept: a client that still sends would see a broken connection instead of the answer.
        while (await receive()).get("more_body"):
            pass
        await _refuse(send, reason)


def upload_size(scope: Scope) -> int | None:
    """Return how many bytes a request stores in S3 at most; None if it stores nothing.

    >>> signed = (b"authorization", b"AWS4-HMAC-SHA256 Credential=AKIA/20260131/us-east-1/s3/aws4_request, ...")
    >>> upload_size({"type": "http", "method": "PUT", "headers": [signed, (b"content-length", b"7")]})
    7
    >>> upload_size({"type": "http", "method": "GET", "headers": [signed]})
    >>> upload_size({"type": "http", "method": "POST", "query_string": b"delete", "headers": [signed]})
    """
    if scope["type"] != "http" or scope["method"] not in ("PUT", "POST"):
        return None
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    credentials = [headers.get(b"authorization", ""), *query.get("X-Amz-Credential", [])]
    if "delete" in query or not any(_S3 in credential for credential in credentials):
        return None
    length = headers.get(b"content-length", "")
    return int(length) if length.isdecimal() else 0


async def _refuse(send: Send, reason: str) -> None:
    request = str(uuid4())
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>ServiceUnavailable</Code>'
        f"<Message>{escape(reason)}</Message><RequestId>{request}</RequestId></Error>"
    ).encode()
    headers = {
        "content-type": "application/xml",
        "content-length": str(len(body)),
        "x-amz-request-id": request,
    }
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 503, "headers": encoded})
    await send({"type": "http.response.body", "body": body})

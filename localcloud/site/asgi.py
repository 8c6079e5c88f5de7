"""What the site needs of ASGI: requests with their headers in a dictionary, and whole answers."""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from localcloud.bounded import discard

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# An HTTP API takes 10 MB, and ours 512 KiB. The body is there before the token is checked.
MAX_BODY_BYTES = 1024 * 1024


class BodyTooLargeError(Exception):
    """The body is larger than the API accepts."""


class DisconnectedError(Exception):
    """The client has gone before the body was complete."""


@dataclass(frozen=True)
class Request:
    """An HTTP request.

    Attributes:
        scope: ASGI's description of it.
        receive: ASGI's way to its body.
    """

    scope: Scope
    receive: Receive

    @property
    def method(self) -> str:
        """The method."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """The decoded path."""
        return str(self.scope["path"])

    @property
    def raw_path(self) -> str:
        """The path as it was sent."""
        raw = self.scope.get("raw_path") or self.path.encode()
        return str(raw.decode("latin-1"))

    @property
    def query(self) -> str:
        """The query string as it was sent."""
        return str(self.scope.get("query_string", b"").decode("latin-1"))

    @cached_property
    def headers(self) -> dict[str, str]:
        """The headers, with names in lower case; one that was sent several times is joined."""
        joined: dict[str, str] = {}
        for raw_name, raw_value in self.scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            separator = "; " if name == "cookie" else ","
            joined[name] = f"{joined[name]}{separator}{value}" if name in joined else value
        return joined

    async def body(self) -> bytes:
        """Return the body.

        Raises:
            BodyTooLargeError: It is larger than the API accepts. More of it is read, but not kept.
            DisconnectedError: The client has gone.
        """
        chunks, size, more = [], 0, True
        while more:
            message = await self.receive()
            if message["type"] != "http.request":
                raise DisconnectedError
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            more = message.get("more_body", False)
            if size > MAX_BODY_BYTES:
                if more:
                    await discard(self.receive)
                raise BodyTooLargeError
        return b"".join(chunks)


@dataclass(frozen=True)
class Response:
    """An answer.

    Attributes:
        status: The HTTP status.
        body: The body.
        headers: The headers, with names in lower case; Set-Cookie may be there several times.
    """

    status: int
    body: bytes
    headers: Iterable[tuple[str, str]]

    async def send(self, request: Request, send: Send) -> None:
        """Send it; to HEAD without the body."""
        headers = [*self.headers, ("content-length", str(len(self.body)))]
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": self.status, "headers": encoded})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else self.body})


def error(status: int, code: str, message: str) -> Response:
    """Return an error in the API's form."""
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return Response(status, body, [("content-type", "application/json"), ("cache-control", "no-store")])

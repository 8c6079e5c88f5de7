"""Bodies of requests within a number of bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# A client that still sends would see a broken connection instead of an answer, so a refused body is read, but not kept.
_DISCARDED_BYTES = 32 * 1024 * 1024


async def discard(receive: Receive) -> None:
    """Read a body and keep nothing of it; of an endless one only a part."""
    size = 0
    while size < _DISCARDED_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            return


class Bounded:
    """A request for an ASGI application that sees no more than a number of bytes of its body.

    Attributes:
        exceeded: Whether the body has more. The application was then told that the client has gone, and its answer, if
            it gave one, is kept back.
    """

    def __init__(self, receive: Receive, send: Send, most_bytes: int) -> None:
        self._receive, self._send, self._left = receive, send, most_bytes
        self.exceeded = False

    async def receive(self) -> dict[str, Any]:
        """Return the next part of the request."""
        if self.exceeded:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left >= 0:
            return message
        self.exceeded = True
        if message.get("more_body"):
            await discard(self._receive)
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        """Send a part of the answer."""
        if not self.exceeded:
            await self._send(message)

"""HTTP/1.1 within bounds, that ignores an offer to change the protocol.

uvicorn bounds neither the size of a request's head nor the time that it takes, with httptools:
https://github.com/Kludex/uvicorn/issues/157, https://github.com/Kludex/uvicorn/pull/1684. Its `limit_concurrency`
refuses the newest connection, so that whoever opens many and sends nothing keeps everybody out. Here the connection
that has waited longest for the rest of its request makes room.

Java's HttpClient and `curl --http2` send `Upgrade: h2c` with their first request. A server that does not know the new
protocol ignores the offer: https://www.rfc-editor.org/rfc/rfc9110#section-7.8. httptools, however, stops at the end of
such a request's headers, and takes its body for bytes of the new protocol, so that an image would arrive empty.
"""

from __future__ import annotations

import asyncio
import resource
from asyncio import TimerHandle
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

# SageMaker sends about 2 KiB. h11 takes 16 KiB, Apache and nginx 8 KiB in a line.
MAX_HEAD_BYTES = 32 * 1024
# For a head once it has begun, and for the first byte of a connection.
HEAD_SECONDS = 10.0
# SageMaker needs as many as images are inside. Half of what the process may open.
MAX_CONNECTIONS = min(512, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
# A read of 256 KiB may hold thousands of requests.
MAX_PIPELINED = 16
# What of a request the parser is at.
_IDLE, _HEAD, _BODY = range(3)
# What belongs to the offer and to nothing else: https://www.rfc-editor.org/rfc/rfc7540#section-3.2.1
_OFFER = (b"upgrade", b"http2-settings")


class _TooMuchError(Exception):
    """The request is larger than this server takes."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds, and without other protocols.

    Attributes:
        waits_since: Since when the connection waits for its next request, or for the rest of it; None while its
            request is answered.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.waits_since: float | None = None
        self._timer: TimerHandle | None = None
        self._stage = _IDLE
        # Of the request's head, and of what the parser has taken without passing on anything.
        self._head_bytes = self._kept_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, in the place of another one if there are too many."""
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, _Whole(transport))
        self.waits_since = self.loop.time()
        self._start_timer()
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()

    def _make_room(self) -> None:
        others = [
            (other.waits_since, other)
            for other in self.connections
            if isinstance(other, HttpProtocol) and other.waits_since is not None and other is not self
        ]
        _, oldest = min(others, key=lambda pair: pair[0], default=(0.0, self))
        self.connections.discard(oldest)
        oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        self._unset_keepalive_if_required()
        self._kept_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _TooMuchError):
                self._refuse(431, str(error.__context__))
            else:
                self._refuse(400, "Invalid HTTP request received.")
            return
        if self._kept_bytes > MAX_HEAD_BYTES:
            self._refuse(431, "The request's head is too large.")
        elif self._timer is None:
            self._limit_wait()

    def _limit_wait(self) -> None:
        """Begin the time for a head, for a body that nobody reads any more, or for the next request."""
        answered = self.cycle is None or self.cycle.response_complete
        if self._stage == _HEAD or (answered and self._stage == _BODY):
            self._start_timer()
        elif answered and self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._stage == _HEAD and (self.cycle is None or self.cycle.response_complete):
            self._refuse(408, "The request's head did not arrive in time.")
        else:
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer what is no request, and close the connection."""
        self.logger.warning(message)
        self._stop_timer()
        if self.transport.is_closing():
            return
        self.transport.write(
            b"%bcontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (STATUS_LINE[status], len(message), message.encode())
        )
        self.transport.close()

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                head = self._head_without_the_offer()
                data = head + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
            else:
                return

    def _head_without_the_offer(self) -> bytes:
        """Return the request's line and headers, which the parser has accepted, except the offer."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b\r\n" % (method, self.url, version)]
        for name, value in self.headers:
            if name.lower() == b"connection":
                value = _without_upgrade(value)
            if name.lower() not in _OFFER:
                lines.append(b"%b: %b\r\n" % (name, value))
        return b"".join([*lines, b"\r\n"])

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._stage, self._head_bytes = _HEAD, 0
        if self.waits_since is not None:
            self.waits_since = self.loop.time()

    def on_url(self, url: bytes) -> None:
        """Take a part of the request's line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, of the head or behind a body in chunks."""
        # As large as in the request, and as the objects that hold it.
        self._count(len(name) + len(value) + 100)
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _TooMuchError("The request's head is too large.")

    def on_headers_complete(self) -> None:
        """Start the request, unless it is read again."""
        if self.parser.get_method() == b"CONNECT":
            # It would change the protocol by its method.
            raise httptools.HttpParserInvalidMethodError("this server is no proxy")
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _TooMuchError("Too many requests wait for their answers.")
        if not self.parser.should_upgrade():
            self._stage, self._kept_bytes = _BODY, 0
            self._stop_timer()
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._kept_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request's body, unless the request is read again."""
        if not self.parser.should_upgrade():
            self._stage, self._kept_bytes = _IDLE, 0
            self._stop_timer()
            if not self.cycle.response_complete:
                self.waits_since = None
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        another = bool(self.pipeline)
        super().on_response_complete()
        if not another:
            self.waits_since = self.loop.time()


class _Whole:
    """A transport that sends the head of an answer together with its body.

    uvicorn writes one after the other, which costs two calls of the kernel, and wakes the client up twice.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._head = transport, b""
        self._loop = asyncio.get_running_loop()

    def write(self, data: bytes) -> None:
        if self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def _flush(self) -> None:
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _without_upgrade(connection: bytes) -> bytes:
    tokens = [token.strip() for token in connection.split(b",")]
    return b", ".join(token for token in tokens if token.lower() not in _OFFER)

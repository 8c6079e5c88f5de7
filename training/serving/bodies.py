"""The bytes of a request: read within a limit and a time, and unpacked within the same limit."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass

from starlette.requests import Request

from training.serving.refusals import RefusedError

BODY_SECONDS = 30.0  # for a request's body
# A body that arrives as fast as SageMaker sends them is there long before. Only an older one makes room for others.
_PATIENCE_SECONDS = 1.0
# https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1. "deflate" is zlib's format (RFC 1950), "gzip" that of RFC 1952.
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


@dataclass(slots=True, eq=False)
class _Arriving:
    """A body of which a part has arrived.

    Attributes:
        deadline: When it is given up.
        began: When its first part was awaited, on the clock of the event loop.
        size: Its bytes so far.
    """

    deadline: asyncio.Timeout
    began: float
    size: int = 0


class Bodies:
    """The bodies that arrive, within a number of bytes for all of them.

    A body takes no place of an image while it arrives, so that slow ones keep nobody out. If they need too much memory,
    the largest one that is slow is given up.
    """

    def __init__(self, most_bytes: int) -> None:
        """Take at most `most_bytes` at once."""
        self._most_bytes = most_bytes
        self._arriving: set[_Arriving] = set()

    async def read(self, request: Request, limit: int) -> bytes:
        """Return a request's body as it is sent.

        Args:
            request: The request.
            limit: The most bytes.

        Raises:
            RefusedError: It is larger, arrives too slowly, or there is no memory for it.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large("body", limit)
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(BODY_SECONDS) as deadline:
                arriving = _Arriving(deadline, asyncio.get_running_loop().time())
                self._arriving.add(arriving)
                try:
                    async for chunk in request.stream():
                        arriving.size += len(chunk)
                        if arriving.size > limit:
                            raise _too_large("body", limit)
                        chunks.append(chunk)
                        self._make_room(arriving)
                finally:
                    self._arriving.discard(arriving)
        except TimeoutError as error:
            raise RefusedError(
                408, "body_too_slow", f"the body did not arrive within {BODY_SECONDS:g} s, or kept others out"
            ) from error
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _make_room(self, newest: _Arriving) -> None:
        """Give up the largest slow body if there are too many bytes; if none is slow, the one that just grew."""
        if len(self._arriving) == 1 or sum(body.size for body in self._arriving) <= self._most_bytes:
            return
        now = asyncio.get_running_loop().time()
        slow = [
            body for body in self._arriving if now - body.began > _PATIENCE_SECONDS and body is not newest
        ]
        if not slow:
            raise RefusedError(429, "busy", "too many large images arrive; try again shortly")
        slowest = max(slow, key=lambda body: body.size)
        self._arriving.discard(slowest)
        slowest.deadline.reschedule(now)


async def unpacked(data: bytes, request: Request, limit: int) -> bytes:
    """Return a request's body, unpacked if it is packed.

    Args:
        data: The body as it was sent.
        request: The request.
        limit: The most bytes, unpacked.

    Raises:
        RefusedError: It is larger, or packed in a way that is not known or is damaged.
    """
    encoding = encoding_of(request)
    if encoding is None:
        return data
    # A body of the limit's size takes some 20 ms, during which the event loop has other clients.
    return await asyncio.to_thread(unpack, data, encoding, limit)


def unpack(data: bytes, encoding: str, limit: int) -> bytes:
    """Return the content of a packed body. It stops at the limit, however much follows.

    Args:
        data: The packed bytes.
        encoding: gzip, x-gzip or deflate.
        limit: The most bytes of content.

    Raises:
        RefusedError: The content is larger, or the bytes are damaged.
    """
    unpacker = zlib.decompressobj(_WINDOWS[encoding])
    try:
        content = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise RefusedError(400, "corrupt_encoding", f"the body is not {encoding}: {error}") from error
    if len(content) > limit:
        raise _too_large("unpacked body", limit)
    # A gzip file may have several members, but no client sends them, and a million empty ones would take minutes.
    if not unpacker.eof or unpacker.unused_data:
        problem = "bytes follow its end" if unpacker.eof else "it ends too early"
        raise RefusedError(400, "corrupt_encoding", f"the body is not {encoding}: {problem}")
    return content


def encoding_of(request: Request) -> str | None:
    """Return how a request's body is packed; None if it is not.

    Raises:
        RefusedError: In a way that is not known.
    """
    if "content-encoding" not in request.headers:
        return None
    named = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
    encodings = [name.strip() for name in named if name.strip() not in ("", "identity")]
    if not encodings:
        return None
    if len(encodings) > 1 or encodings[0] not in _WINDOWS:
        raise RefusedError(
            415,
            "unsupported_encoding",
            f"send the body as it is, or packed once by gzip or deflate, not by {', '.join(encodings)[:100]}",
        )
    return encodings[0]


def _too_large(what: str, limit: int) -> RefusedError:
    return RefusedError(413, "body_too_large", f"the {what} is larger than {limit:,} bytes")

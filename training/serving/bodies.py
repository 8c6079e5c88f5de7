"""The bytes of a request: read within a limit and a time, and unpacked within the same limit."""

from __future__ import annotations

import asyncio
import zlib

from starlette.requests import Request

from training.serving.refusals import RefusedError

BODY_SECONDS = 30.0  # for a request's body: a slow client must not occupy a place for long
# https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1. "deflate" is zlib's format (RFC 1950), "gzip" that of RFC 1952.
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


async def read_body(request: Request, limit: int) -> bytes:
    """Return a request's body, unpacked if it is packed.

    Args:
        request: The request.
        limit: The most bytes, on the wire and unpacked.

    Raises:
        RefusedError: It is larger, arrives too slowly, or is packed in a way that is not known or is damaged.
    """
    encoding = _encoding(request)
    data = await _received(request, limit)
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
        raise RefusedError(413, "body_too_large", f"the unpacked body is larger than {limit:,} bytes")
    # A gzip file may have several members, but no client sends them, and a million empty ones would take minutes.
    if not unpacker.eof or unpacker.unused_data:
        problem = "bytes follow its end" if unpacker.eof else "it ends too early"
        raise RefusedError(400, "corrupt_encoding", f"the body is not {encoding}: {problem}")
    return content


def _encoding(request: Request) -> str | None:
    """Return how the body is packed; None if it is not."""
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


async def _received(request: Request, limit: int) -> bytes:
    """Read the request's body. A body over the limit is refused as soon as that is known."""
    declared = request.headers.get("content-length", "0")
    chunks: list[bytes] = []
    length = int(declared) if declared.isdecimal() else 0
    if length <= limit:
        length = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    length += len(chunk)
                    if length > limit:
                        break
                    chunks.append(chunk)
        except TimeoutError as error:
            raise RefusedError(
                503, "body_too_slow", f"the body did not arrive within {BODY_SECONDS:g} s"
            ) from error
    if length > limit:
        raise RefusedError(413, "body_too_large", f"the body is larger than {limit:,} bytes")
    return b"".join(chunks)

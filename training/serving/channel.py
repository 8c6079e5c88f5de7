"""The server's end of the socket to a worker process, read and written by the event loop.

asyncio's transports would take a task and a buffer for what are one write and one read.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from training.serving.worker_process import REPLY

_READ = 1 << 16


class WorkerLostError(Exception):
    """The worker has ended before it replied."""


class Channel:
    """One exchange at a time with a worker."""

    def __init__(self, connection: socket.socket, on_lost: Callable[[], None]) -> None:
        """Take over a socket to a warm worker.

        Args:
            connection: The socket.
            on_lost: Called if the worker ends while it has no request.
        """
        self._loop = asyncio.get_running_loop()
        self._socket, self._on_lost = connection, on_lost
        self._received = bytearray()
        self._unsent: memoryview | None = None
        self._reply: asyncio.Future[tuple[int, bytes]] | None = None
        connection.setblocking(False)
        self._loop.add_reader(connection, self._read)

    def ask(self, head: bytes, data: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Send a request, and return the future kind and body of its reply.

        Raises:
            OSError: The worker has ended before, so that the image did not cause it.
        """
        try:
            sent = self._socket.sendmsg([head, data])
        except BlockingIOError:
            sent = 0
        if sent < len(head) + len(data):
            self._unsent = memoryview(head + data)[sent:]
            self._loop.add_writer(self._socket, self._write)
        self._reply = self._loop.create_future()
        return self._reply

    def close(self) -> None:
        """Let go of the socket, which remains open."""
        if not self._loop.is_closed():
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)

    def _write(self) -> None:
        assert self._unsent is not None  # noqa: S101 - the writer is removed with the last byte
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._lose()
            return
        if not self._unsent:
            self._unsent = None
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            received = self._socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self._lose()
            return
        self._received += received
        if len(self._received) < REPLY.size:
            return
        size, kind = REPLY.unpack_from(self._received)
        if len(self._received) == REPLY.size + size and self._reply is not None:
            body, reply = bytes(memoryview(self._received)[REPLY.size :]), self._reply
            self._received, self._reply = bytearray(), None
            if not reply.done():
                reply.set_result((kind, body))

    def _lose(self) -> None:
        self.close()
        if self._reply is None:
            self._on_lost()
        elif not self._reply.done():
            self._reply.set_exception(WorkerLostError())

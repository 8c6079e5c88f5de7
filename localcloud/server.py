"""The HTTP server of the local cloud, in a thread."""

import asyncio
import contextlib
import logging
import socket
import threading
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from localcloud.daemon_pool import DaemonPool
from localcloud.errors import StartError

logger = logging.getLogger(__name__)

_END_S, _CANCEL_S, _THREADS_END_S = 4.0, 0.5, 1.0


class Server:
    """Serves ASGI applications, each on its listening socket, from `start` to `stop`."""

    def __init__(self, *served: tuple[Any, socket.socket]) -> None:
        """Initialize a server; nothing is served before `start`.

        Args:
            *served: Each application with its socket. The first one is told of the start and of the end.
        """
        self._apps = {int(listener.getsockname()[1]): app for app, listener in served}
        self._first = served[0][0]
        self._listeners = [listener for _, listener in served]
        self._ready, self._ended = threading.Event(), threading.Event()
        # As many as MiniStack has.
        self._threads = DaemonPool(64, "loupe-ministack")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shutdown = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="loupe-server")

    def start(self) -> None:
        """Start, and return once requests are answered.

        Raises:
            StartError: If the application ends instead.
        """
        self._thread.start()
        while not self._ready.wait(timeout=0.1):
            if self._ended.is_set():
                raise StartError("MiniStack ended while it started.")

    def stop(self) -> bool:
        """Give the requests in progress a second, and end.

        Returns:
            Whether all threads of the requests have ended too.
        """
        if not self._thread.is_alive():
            return True
        # While it starts, the server first becomes ready: half of a state must not be saved over the whole.
        while not self._ready.wait(timeout=0.1) and not self._ended.is_set():
            pass
        if self._loop is not None and not self._ended.is_set():
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._shutdown.set)
        return self._ended.wait(timeout=_END_S) and self._threads.ended(_THREADS_END_S)

    def _run(self) -> None:
        # Not asyncio.run, which waits for the threads of all requests however long they take.
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._serve())
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.wait(tasks, timeout=_CANCEL_S))
        except Exception:
            logger.exception("the server ended")
        finally:
            loop.close()
            self._ended.set()

    async def _serve(self) -> None:
        config = Config()
        config.bind = [f"fd://{listener.detach()}" for listener in self._listeners]
        config.errorlog = logging.getLogger("hypercorn.error")
        config.keep_alive_timeout = 75
        config.graceful_timeout = 1
        self._loop = asyncio.get_running_loop()
        await serve(self._dispatch, config, shutdown_trigger=self._until_stopped)

    async def _dispatch(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request to the application of the port that it came to."""
        app = self._first if scope["type"] == "lifespan" else self._apps[scope["server"][1]]
        await app(scope, receive, send)

    async def _until_stopped(self) -> None:
        # hypercorn awaits this once it serves. MiniStack's own threads, which it has started by now, are not daemons.
        asyncio.get_running_loop().set_default_executor(self._threads)
        self._ready.set()
        await self._shutdown.wait()

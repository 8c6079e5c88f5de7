"""The HTTP server of the local cloud, in a thread."""

import asyncio
import logging
import socket
import threading
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from localcloud.errors import StartError

logger = logging.getLogger(__name__)


class Server:
    """Serves an ASGI application on a listening socket from `start` to `stop`."""

    def __init__(self, app: Any, listener: socket.socket) -> None:
        self._app, self._listener = app, listener
        self._ready, self._ended = threading.Event(), threading.Event()
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

    def stop(self) -> None:
        """Finish the requests in progress, let MiniStack save its state, and end."""
        if self._loop is not None and not self._ended.is_set():
            self._loop.call_soon_threadsafe(self._shutdown.set)
        self._ended.wait(timeout=15)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:
            logger.exception("the server ended")
        finally:
            self._ended.set()

    async def _serve(self) -> None:
        config = Config()
        config.bind = [f"fd://{self._listener.detach()}"]
        config.errorlog = logging.getLogger("hypercorn.error")
        config.keep_alive_timeout = 75
        config.graceful_timeout = 3
        self._loop = asyncio.get_running_loop()
        await serve(self._app, config, shutdown_trigger=self._until_stopped)

    async def _until_stopped(self) -> None:
        # hypercorn awaits this once it serves.
        self._ready.set()
        await self._shutdown.wait()

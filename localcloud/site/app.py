"""The site: an ASGI application that serves the page, and passes on what belongs to the API and to S3.

Like the distribution on AWS, it is the page's only origin, and what it passes on is authorised there: the API's
requests by their token, those for objects by the signature in their query string.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

from localcloud.daemon_pool import DaemonPool
from localcloud.home import administrator, one_time
from localcloud.ministack import http_api
from localcloud.site import files, headers
from localcloud.site.asgi import (
    App,
    BodyTooLargeError,
    DisconnectedError,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    error,
)
from localcloud.site.guard import refusal
from localcloud.site.page import Page
from localcloud.stopping import stopping

logger = logging.getLogger(__name__)

_API, _SESSION, _ONE_TIME = "/api/", "/api/session", "/api/session/one-time"
# What the distribution passes on to a bucket, and what protects it.
_PREFIXES = {
    "ImagesBucketName": {"incoming": headers.DATA},
    "ArtefactsBucketName": {
        "annotated": headers.DATA,
        "thumbnails": headers.DATA,
        "labelled": headers.DATA,
        "reports": headers.REPORT,
    },
}
# What S3 may need of a browser's request. Everything else, cookies above all, stays here.
_FOR_S3 = ("range", "if-none-match", "if-modified-since")


class Site:
    """The page's only origin.

    Attributes:
        port: The port of the site.
        cloud_port: The port of the local cloud, which is part of what is signed in a link.
    """

    def __init__(self, port: int, cloud: App, cloud_port: int, home: Path, repository: Path) -> None:
        """Initialize a site; it passes nothing on before `connect`.

        Args:
            port: The port of the site.
            cloud: The local cloud's own application.
            cloud_port: Its port.
            home: The folder with the one-time codes and the administrator's password.
            repository: The folder that contains the built page.
        """
        self.port, self.cloud_port = port, cloud_port
        self._cloud, self._home = cloud, home
        self._page = Page(files.folder(repository))
        self._threads = DaemonPool(2, thread_name_prefix="loupe-site")
        self._api_id: str | None = None
        self._objects: dict[str, dict[str, dict[str, str]]] = {}
        self._restore: Callable[[], None] = lambda: None

    def connect(self, api_id: str | None, outputs: dict[str, str], restore: Callable[[], None]) -> None:
        """Pass requests on to a deployed stack.

        Args:
            api_id: Its HTTP API; None if it has none.
            outputs: Its outputs.
            restore: Gives the administrator the password that is in the home.
        """
        self._objects = {outputs[name]: prefixes for name, prefixes in _PREFIXES.items() if name in outputs}
        self._api_id, self._restore = api_id, restore

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope, receive)
        _, bucket, prefix, *_ = *request.path.split("/", 3), "", ""
        if reason := refusal(request.method, request.headers, self.port):
            await _guarded(error(403, "forbidden", reason)).send(request, send)
        elif request.path.startswith(_API):
            await (await self._answer(request)).send(request, send)
        elif bucket in self._objects:
            await self._pass_on(request, self._objects[bucket].get(prefix), send)
        else:
            await self._page.get(request).send(request, send)

    async def _answer(self, request: Request) -> Response:
        """Return the API's answer."""
        if self._api_id is None or stopping.is_set():
            return _guarded(error(503, "unavailable", "The local cloud is starting or stopping; try again."))
        try:
            body = await request.body()
        except BodyTooLargeError:
            return _guarded(error(413, "too_large", "The body is too large."))
        except DisconnectedError:
            return error(400, "invalid_request", "The request ended early.")
        if request.path == _ONE_TIME:
            return await self._enter(request, body)
        return await self._call(request, request.method, request.raw_path, body)

    async def _call(self, request: Request, method: str, path: str, body: bytes) -> Response:
        """Send a request to the HTTP API, and return its answer."""
        sent = request.headers | {
            "host": f"{self._api_id}.execute-api.127.0.0.1:{self.cloud_port}",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": str(self.port),
            "x-forwarded-proto": "http",
        }
        answer = await http_api.execute(str(self._api_id), method, path, request.query, sent, body)
        dropped = {"content-length", "transfer-encoding", "connection", *headers.DATA}
        kept = [(name, value) for name, value in answer.headers if name not in dropped]
        return _guarded(Response(answer.status, answer.body, kept))

    async def _enter(self, request: Request, body: bytes) -> Response:
        """Sign in who has a one-time code: the answer is that of the API to the administrator's password."""
        if request.method != "POST":
            return _guarded(error(405, "method_not_allowed", "This address takes POST."))
        try:
            code = json.loads(body)["code"]
        except (ValueError, TypeError, KeyError, RecursionError):
            code = None
        if not isinstance(code, str):
            return _guarded(error(400, "invalid_request", "The body is not a JSON object with a code."))
        if not one_time.redeem(self._home, code):
            return _guarded(
                error(
                    401,
                    "bad_code",
                    "This link was used already, or has expired. For a new one: loupe dashboard",
                )
            )
        response = await self._sign_in(request)
        if not _has_token(response):
            # Somebody has changed the administrator's password, or must choose a new one.
            await asyncio.get_running_loop().run_in_executor(self._threads, self._restore)
            response = await self._sign_in(request)
        return response

    async def _sign_in(self, request: Request) -> Response:
        credentials = {
            "username": administrator.USER,
            "password": administrator.password(self._home),
        }
        return await self._call(request, "POST", _SESSION, json.dumps(credentials).encode())

    async def _pass_on(self, request: Request, protection: dict[str, str] | None, send: Send) -> None:
        """Pass a presigned request on to S3. The signature is for the local cloud's own host."""
        signed = "X-Amz-Signature" in parse_qs(request.query)
        if protection is None or not signed or request.method not in ("GET", "HEAD"):
            reason = "Pictures and reports are read by presigned links."
            await _guarded(error(403, "forbidden", reason)).send(request, send)
            return
        sent = {name: value for name, value in request.headers.items() if name in _FOR_S3}
        sent["host"] = f"127.0.0.1:{self.cloud_port}"
        scope = request.scope | {
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()]
        }

        async def send_protected(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                answered = [
                    (name, value)
                    for name, value in message.get("headers", [])  # type: ignore[attr-defined]
                    if name.decode("latin-1").lower() not in protection
                ]
                added = [(name.encode(), value.encode()) for name, value in protection.items()]
                message = {**message, "headers": answered + added}
            await send(message)

        await self._cloud(scope, request.receive, send_protected)


def _guarded(response: Response) -> Response:
    return Response(response.status, response.body, [*response.headers, *headers.DATA.items()])


def _has_token(response: Response) -> bool:
    try:
        return response.status == 200 and "token" in json.loads(response.body)
    except (ValueError, TypeError):
        return False

"""Serves the built page from its folder."""

import hashlib
from pathlib import Path

from localcloud.site import files, headers
from localcloud.site.asgi import Request, Response, error

_NOT_BUILT = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Loupe</title>
<h1>The dashboard is not built</h1>
<p>Run <code>make dashboard</code> in the repository, and load this page again.</p>
</html>
"""


class Page:
    """The files of the page.

    Attributes:
        folder: Where they are. It may be built, or built again, while they are served.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def get(self, request: Request) -> Response:
        """Return the file that a request asks for. The files are few and small, so they are read at once."""
        if request.method not in ("GET", "HEAD"):
            return _protected(error(405, "method_not_allowed", "This address takes GET, HEAD."))
        name = request.path.removeprefix("/") or "index.html"
        try:
            content = self._read(name)
        except (OSError, ValueError):
            return self._missing(name)
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        sent = [("etag", etag), ("cache-control", files.cache_control(name))]
        if etag in request.headers.get("if-none-match", ""):
            return Response(304, b"", [*sent, *headers.PAGE.items()])
        return Response(
            200, content, [("content-type", files.content_type(name)), *sent, *headers.PAGE.items()]
        )

    def _read(self, name: str) -> bytes:
        """Return a file's content. Raises OSError or ValueError if there is no such file in the folder."""
        file = (self.folder / name).resolve()
        if not file.is_relative_to(self.folder):
            raise ValueError(name)
        return file.read_bytes()

    def _missing(self, name: str) -> Response:
        if name == "index.html":
            return Response(
                503, _NOT_BUILT, [("content-type", files.content_type(name)), *headers.PAGE.items()]
            )
        return _protected(error(404, "not_found", "There is nothing at this address."))


def _protected(response: Response) -> Response:
    return Response(response.status, response.body, [*response.headers, *headers.DATA.items()])

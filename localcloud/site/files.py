"""The files of the page: where they are, what they are, and how long a browser may keep them."""

import mimetypes
from pathlib import Path, PurePosixPath

# Not every machine's table knows these, and with `nosniff` a wrong type is not run.
for _type, _suffix in (
    ("text/javascript", ".js"),
    ("text/css", ".css"),
    ("image/svg+xml", ".svg"),
    ("font/woff2", ".woff2"),
    ("application/manifest+json", ".webmanifest"),
):
    mimetypes.add_type(_type, _suffix)

# Vite's folder for files whose names contain a hash of their content.
_HASHED = "assets"
_KEPT, _ASKED_FOR = "public, max-age=31536000, immutable", "no-cache"


def folder(repository: Path) -> Path:
    """Return the folder with the built page."""
    return repository / "dashboard" / "dist"


def content_type(name: str) -> str:
    """Return the type of a file, by its name.

    >>> content_type("assets/index-4f2a.js")
    'text/javascript; charset=utf-8'
    >>> content_type("assets/face.woff2")
    'font/woff2'
    """
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


def cache_control(name: str) -> str:
    """Return how long a browser may keep a file without asking.

    >>> cache_control("index.html")
    'no-cache'
    """
    return _KEPT if PurePosixPath(name).parts[:1] == (_HASHED,) else _ASKED_FOR

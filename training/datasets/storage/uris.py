"""Images by their URI: a file (`file:///…`), an object (`s3://…`), a member of a zip, or a record of a .rec file.

The URI of a member is `<zip>#member=<name>`, of a record `<file>#offset=<byte>`. A record inside a zip has both,
joined by `&`. Names in a fragment are percent-encoded.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar, cast
from urllib.parse import unquote, urlsplit

from training.datasets.problems import DatasetError
from training.datasets.storage import s3
from training.datasets.storage.archive import Zip
from training.datasets.storage.files import Files, read_bounded
from training.datasets.storage.records import Records

T = TypeVar("T", bound=Files)
_URI = re.compile(r"(?P<file>.+?)#(?:member=(?P<member>[^#&]+))?(?:&?offset=(?P<offset>\d+))?")


class FilesByUri(Files):
    """Whole files, local or in S3. The name of each file is its URI."""

    names = ()

    def read(self, name: str) -> bytes:
        if name.startswith("s3://"):
            return s3.read(name)
        with self.open(name) as file:
            return read_bounded(file, name)

    def open(self, name: str) -> BinaryIO:
        scheme, _, path, _, _ = urlsplit(name)
        if scheme == "s3":
            return s3.open_object(name)
        if scheme != "file":
            raise DatasetError(name, "is not a file:// or s3:// URI")
        try:
            return Path(unquote(path)).open("rb")
        except OSError as error:
            raise DatasetError(unquote(path), f"cannot be read: {error.strerror}") from error

    def uri(self, name: str) -> str:
        return name


class ImagesByUri(Files):
    """Images with a name and a URI, and the files of another source with them."""

    def __init__(self, uris: Mapping[str, str], base: Files | None = None) -> None:
        """Take the URIs; nothing is read yet.

        Args:
            uris: The URI of each image, by the image's name.
            base: Other files, which keep their names.
        """
        self._uris, self._base = uris, base
        self._files = FilesByUri()
        self._containers: dict[str, Files] = {}
        self._lock = threading.Lock()
        self.names = (*uris, *(base.names if base else ()))
        if any(uri.startswith("s3://") for uri in uris.values()):
            self.threads = s3.THREADS

    def uri(self, name: str) -> str:
        if name in self._uris or self._base is None:
            return self._uris[name]
        return self._base.uri(name)

    def open(self, name: str) -> BinaryIO:
        raise NotImplementedError("only whole images are read by URI")

    def read(self, name: str) -> bytes:
        if name not in self._uris and self._base is not None:
            return self._base.read(name)
        uri = self._uris[name]
        match = _URI.fullmatch(uri)
        # With neither a member nor an offset, the # belongs to the key of an object.
        if match is None or (match["member"] is None and match["offset"] is None):
            return self._files.read(uri)
        file, member, offset = match["file"], unquote(match["member"] or ""), match["offset"]
        if offset is None:
            return self._zip(file).read(member)
        base: Files = self._zip(file) if member else self._files
        records = self._container(f"{file}#records", lambda: Records(base))
        return records.read_at(member or file, int(offset))

    def _zip(self, uri: str) -> Zip:
        if uri.startswith("s3://"):
            return self._container(uri, lambda: Zip(uri, self._files.open(uri)))
        return self._container(uri, lambda: Zip(unquote(urlsplit(uri).path)))

    def _container(self, key: str, create: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._containers:
                self._containers[key] = create()
            return cast(T, self._containers[key])

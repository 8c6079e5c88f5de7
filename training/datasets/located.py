"""Images by their URI, wherever they lie: `file:///…`, `s3://…`, a zip's member, or a record of a .rec file.

A member is written `<zip>#member=<name>`, a record `<file>#offset=<byte>`, a record in a zip with both, joined
by `&`. Names in a fragment are percent-encoded.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar, cast
from urllib.parse import unquote, urlsplit

from training.datasets.files import Files, Zip
from training.datasets.formats.recordio import Records
from training.datasets.problems import DatasetError

T = TypeVar("T", bound=Files)
_PLACE = re.compile(r"(?P<whole>.+?)#(?:member=(?P<member>[^#&]+))?(?:&?offset=(?P<offset>\d+))?")


class Uris(Files):
    """Whole files; the name of each is its URI."""

    names = ()

    def read(self, name: str) -> bytes:
        if name.startswith("s3://"):
            from training.datasets import s3  # boto3 takes long to import, and most sources are local

            return s3.read(name)
        with self.open(name) as file:
            return file.read()

    def open(self, name: str) -> BinaryIO:
        scheme, _, path, _, _ = urlsplit(name)
        if scheme == "s3":
            from training.datasets import s3

            return s3.open_object(name)
        if scheme != "file":
            raise DatasetError(name, "is no file:// or s3:// URI")
        try:
            return Path(unquote(path)).open("rb")
        except OSError as error:
            raise DatasetError(unquote(path), f"cannot be read: {error.strerror}") from error

    def uri(self, name: str) -> str:
        return name


class Located(Files):
    """Files that are known by name and URI, beside those of `base`, if given."""

    def __init__(self, uris: Mapping[str, str], base: Files | None = None) -> None:
        self._uris, self._base = uris, base
        self._whole = Uris()
        self._containers: dict[str, Files] = {}
        self._lock = threading.Lock()
        self.names = (*uris, *(base.names if base else ()))
        if any(uri.startswith("s3://") for uri in uris.values()):
            from training.datasets import s3

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
        place = _PLACE.fullmatch(uri)
        if place is None or place["member"] is place["offset"]:  # neither: a # of the key's own
            return self._whole.read(uri)
        whole, member, offset = place["whole"], unquote(place["member"] or ""), place["offset"]
        if offset is None:
            return self._zip(whole).read(member)
        base: Files = self._zip(whole) if member else self._whole
        records = self._container(f"{whole}#records", lambda: Records(base))
        return records.at(member or whole, int(offset))

    def _zip(self, whole: str) -> Zip:
        if whole.startswith("s3://"):
            return self._container(whole, lambda: Zip(whole, self._whole.open(whole)))
        return self._container(whole, lambda: Zip(unquote(urlsplit(whole).path)))

    def _container(self, key: str, make: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._containers:
                self._containers[key] = make()
            return cast(T, self._containers[key])

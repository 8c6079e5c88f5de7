"""The files of a data set inside a zip, read in place."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path, PureWindowsPath
from typing import BinaryIO, cast
from urllib.parse import quote

from training.datasets.problems import DatasetError, Problem
from training.datasets.storage.directory import check_directory, check_entries
from training.datasets.storage.files import Files, read_bounded
from training.datasets.storage.names import decodings, is_hidden

_ZIP_ERRORS = (
    OSError,
    KeyError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    struct.error,
)
_IS_UTF8 = (
    0x800  # the flag of a name that is in UTF-8; others are in the code page of the system that packed it
)
_UNICODE_PATH = 0x7075  # the extra field with the name in UTF-8 (APPNOTE.TXT 4.6.9)


class Zip(Files):
    """The members of a zip. Names that lead outside it are refused."""

    def __init__(self, path: str, opened: BinaryIO | None = None) -> None:
        """Open a zip and list it.

        Args:
            path: Its path, or its URI if `opened` is given.
            opened: The zip as a stream that can seek.

        Raises:
            DatasetError: It is not a readable zip.
        """
        self._path, self._stream = path, opened
        self._open: tuple[int, zipfile.ZipFile] | None = None
        self._lock = threading.Lock()
        try:
            with self._bytes() as stream:
                check_directory(path, stream)
            listed = self._archive().infolist()
        # Damaged directories make Python's reader raise several kinds of errors.
        except _ZIP_ERRORS as error:
            raise DatasetError(path, f"is not a readable zip: {error}") from error
        entries = [entry for entry in listed if entry.filename and not entry.is_dir()]
        check_entries(path, entries)
        self._members: dict[str, zipfile.ZipInfo] = {}
        self.aliases, unsafe = {}, set[str]()
        twice = Counter(entry.filename for entry in entries)
        for entry in entries:
            names = [name.replace("\\", "/") for name in _spellings(entry)]
            if is_hidden(names[0]):
                continue
            if _leads_outside(entry.filename):
                unsafe.add(entry.filename)
                continue
            self._members[names[0]] = entry
            if names[1:]:
                self.aliases[names[0]] = tuple(names[1:])
        nameless = sum(not entry.filename for entry in listed)
        self.names = tuple(sorted(self._members))
        self.refused = (
            *(
                Problem("unsafe-name", path, repr(name), "is a name that leads out of the zip")
                for name in sorted(unsafe)
            ),
            *([Problem("unsafe-name", path, "", f"has {nameless} files without a name")] if nameless else []),
            *(
                Problem("twice-in-zip", path, name, f"is in the zip {count} times", count - 1)
                for name, count in twice.items()
                if count > 1 and name in self._members
            ),
        )

    def read(self, name: str) -> bytes:
        with self.stream(name) as member:
            return read_bounded(member, f"{self._path}!{name}", _ZIP_ERRORS)

    def peek(self, name: str, size: int) -> bytes:
        try:
            with self.stream(name) as member:
                return member.read(size)
        except _ZIP_ERRORS as error:
            raise DatasetError(f"{self._path}!{name}", f"cannot be read: {error}") from error

    def stream(self, name: str) -> BinaryIO:
        try:
            return cast(BinaryIO, self._archive().open(self._member(name)))
        except _ZIP_ERRORS as error:
            raise DatasetError(f"{self._path}!{name}", f"cannot be read: {error}") from error

    def open(self, name: str) -> BinaryIO:
        # A seek in a compressed member starts again from its beginning. So the member is unpacked once, to a file
        # without a name, which disappears when the stream is closed.
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            with self.stream(name) as member:
                shutil.copyfileobj(member, unpacked, 1 << 20)
        except _ZIP_ERRORS as error:
            unpacked.close()
            raise DatasetError(f"{self._path}!{name}", f"cannot be read: {error}") from error
        except DatasetError:
            unpacked.close()
            raise
        unpacked.seek(0)
        return cast(BinaryIO, unpacked)

    def uri(self, name: str) -> str:
        zip_uri = self._path if "://" in self._path else Path(self._path).resolve().as_uri()
        return f"{zip_uri}#member={quote(name)}"

    def _bytes(self) -> AbstractContextManager[BinaryIO]:
        """Return the zip itself, to read its end; a stream that was given stays open."""
        return nullcontext(self._stream) if self._stream else Path(self._path).open("rb")

    def _member(self, name: str) -> zipfile.ZipInfo:
        """Return the entry of a name. Raises KeyError."""
        return self._members.get(name) or self._archive().getinfo(name)

    def _archive(self) -> zipfile.ZipFile:
        # A forked data-loading worker must not share its parent's file position.
        with self._lock:
            if self._open is None or self._open[0] != os.getpid():
                self._open = (os.getpid(), zipfile.ZipFile(self._stream or self._path))
            return self._open[1]


def _spellings(entry: zipfile.ZipInfo) -> Iterator[str]:
    """Yield the name of an entry, then what else its bytes mean if their code page is not known."""
    name = entry.filename
    if name.isascii() or entry.flag_bits & _IS_UTF8:
        yield name
        return
    if unicode_path := _unicode_path(entry.extra):
        yield unicode_path
        return
    # Python reads these bytes as the code page 437, as the standard says. Few programs write it.
    yield from decodings(name.encode("cp437", "replace"))


def _unicode_path(extra: bytes) -> str:
    """Return the name in the extra fields of an entry; "" if there is none."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == _UNICODE_PATH and size > 5:
            return extra[9 : 4 + size].decode("utf-8", "replace")
        extra = extra[4 + size :]
    return ""


def _leads_outside(name: str) -> bool:
    windows = PureWindowsPath(name)
    return name.startswith(("/", "\\")) or bool(windows.drive) or ".." in windows.parts

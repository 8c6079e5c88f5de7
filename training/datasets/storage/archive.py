"""The files of a data set inside a zip, read in place."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import zipfile
import zlib
from pathlib import Path, PureWindowsPath
from typing import BinaryIO, cast
from urllib.parse import quote

from training.datasets.problems import DatasetError, Problem
from training.datasets.storage.files import Files, is_hidden

# A zip entry can unpack to any size.
MAX_FILE_BYTES = 256 * 1024**2

_ZIP_ERRORS = (OSError, KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, EOFError)


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
            entries = self._archive().infolist()
        except (OSError, zipfile.BadZipFile) as error:
            raise DatasetError(path, f"is not a readable zip: {error}") from error
        names = {entry.filename for entry in entries if not entry.is_dir() and not is_hidden(entry.filename)}
        unsafe = {name for name in names if _leads_outside(name)}
        self.names = tuple(sorted(names - unsafe))
        self.refused = tuple(
            Problem("unsafe-name", path, repr(name), "is a name that leads out of the zip")
            for name in sorted(unsafe)
        )

    def read(self, name: str) -> bytes:
        try:
            archive = self._archive()
            if archive.getinfo(name).file_size > MAX_FILE_BYTES:
                raise DatasetError(f"{self._path}!{name}", f"unpacks to more than {MAX_FILE_BYTES:,} bytes")
            return archive.read(name)
        except _ZIP_ERRORS as error:
            raise DatasetError(f"{self._path}!{name}", f"cannot be read: {error}") from error

    def open(self, name: str) -> BinaryIO:
        # A seek in a compressed member starts again from its beginning. So the member is unpacked once, to a file
        # without a name, which disappears when the stream is closed.
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            with self._archive().open(name) as member:
                shutil.copyfileobj(member, unpacked, 1 << 20)
        except _ZIP_ERRORS as error:
            unpacked.close()
            raise DatasetError(f"{self._path}!{name}", f"cannot be read: {error}") from error
        unpacked.seek(0)
        return cast(BinaryIO, unpacked)

    def uri(self, name: str) -> str:
        zip_uri = self._path if "://" in self._path else Path(self._path).resolve().as_uri()
        return f"{zip_uri}#member={quote(name)}"

    def _archive(self) -> zipfile.ZipFile:
        # A forked data-loading worker must not share its parent's file position.
        with self._lock:
            if self._open is None or self._open[0] != os.getpid():
                self._open = (os.getpid(), zipfile.ZipFile(self._stream or self._path))
            return self._open[1]


def _leads_outside(name: str) -> bool:
    windows = PureWindowsPath(name)
    return name.startswith(("/", "\\")) or bool(windows.drive) or ".." in windows.parts

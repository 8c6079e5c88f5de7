"""The files of a dataset, in a folder or inside a zip, read by name; nothing is ever extracted."""

from __future__ import annotations

import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath

from training.errors import TrainingError

MAX_FILE_BYTES = 256 * 1024**2  # a zip entry may unpack to anything


class DatasetError(TrainingError):
    """A dataset cannot be read; names the file at fault."""

    def __init__(self, where: object, reason: str) -> None:
        super().__init__(f"{where}: {reason}")


class Files(ABC):
    """Names, in a fixed order, and the bytes behind each."""

    names: tuple[str, ...]

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Raises DatasetError."""

    def by_stem(self, suffixes: tuple[str, ...]) -> dict[str, str]:
        """File name without its folders and suffix → full name, for the names that end so."""
        chosen = (name for name in self.names if name.lower().endswith(suffixes))
        return {PurePosixPath(name).stem: name for name in chosen}


class _Folder(Files):
    def __init__(self, root: Path) -> None:
        self._root = root
        paths = (path for path in root.rglob("*") if path.is_file())
        self.names = tuple(sorted(path.relative_to(root).as_posix() for path in paths))

    def read(self, name: str) -> bytes:
        try:
            return (self._root / name).read_bytes()
        except OSError as error:
            raise DatasetError(self._root / name, f"cannot be read: {error.strerror}") from error


class _Zip(Files):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: tuple[int, zipfile.ZipFile] | None = None
        try:
            entries = self._archive().infolist()
        except (OSError, zipfile.BadZipFile) as error:
            raise DatasetError(path, f"is not a readable zip: {error}") from error
        self.names = tuple(sorted(entry.filename for entry in entries if not entry.is_dir()))

    def read(self, name: str) -> bytes:
        try:
            archive = self._archive()
            if archive.getinfo(name).file_size > MAX_FILE_BYTES:
                raise DatasetError(f"{self._path}!{name}", f"unpacks to more than {MAX_FILE_BYTES:,} bytes")
            return archive.read(name)
        except (
            OSError,
            KeyError,
            RuntimeError,
            NotImplementedError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise DatasetError(f"{self._path}!{name}", f"cannot be read: {error}") from error

    def _archive(self) -> zipfile.ZipFile:
        # A forked data-loading worker must not share its parent's file position.
        if self._open is None or self._open[0] != os.getpid():
            self._open = (os.getpid(), zipfile.ZipFile(self._path))
        return self._open[1]


def open_files(path: Path) -> Files:
    """The files of a folder or zip. Raises DatasetError if it is neither, or empty."""
    if path.is_dir():
        entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
        if len(entries) == 1 and entries[0].suffix.lower() == ".zip":
            return open_files(entries[0])
        files: Files = _Folder(path)
    elif path.is_file():
        files = _Zip(path)
    else:
        raise DatasetError(path, "no such file or folder")
    if not files.names:
        raise DatasetError(path, "is empty")
    return files

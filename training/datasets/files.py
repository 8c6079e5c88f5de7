"""The files of a dataset, in a folder or inside a zip, read by name; nothing is ever extracted."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO, cast
from urllib.parse import quote

from contract.images import SUFFIXES
from training.datasets.problems import DatasetError, Problem
from training.job.container import cores

MAX_FILE_BYTES = 256 * 1024**2  # a zip entry may unpack to anything
ANNOTATION_SUFFIXES = (".json", ".manifest", ".jsonl", ".rec", ".yaml", ".yml")  # a source of one file


class Files(ABC):
    """Names, in a fixed order, and the bytes behind each. Safe to use from threads and forked workers.

    chosen: the file that was named, where a single file was; the others are those beside it.
    refused: what lies there too and is not among the names, with the reason.
    threads: how many reads at once are worth it.
    """

    names: tuple[str, ...]
    chosen: str | None = None
    refused: tuple[Problem, ...] = ()
    threads: int = min(8, cores())

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Raises DatasetError."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """A stream that can seek, for files that are large. Raises DatasetError."""

    @abstractmethod
    def uri(self, name: str) -> str:
        """Where the file lies, for `located.Located` to read it again."""

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The names that end as images do."""
        return tuple(name for name in self.names if name.lower().endswith(SUFFIXES))

    @cached_property
    def images_by_stem(self) -> dict[str, list[str]]:
        """File name without its folders and suffix → full names, for the images."""
        chosen: dict[str, list[str]] = defaultdict(list)
        for name in self.images:
            chosen[PurePosixPath(name).stem].append(name)
        return dict(chosen)

    @cached_property
    def _by_file_name(self) -> dict[str, list[str]]:
        chosen: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            chosen[PurePosixPath(name).name].append(name)
        return dict(chosen)

    def matching(self, reference: str) -> list[str]:
        """The names that share the longest path suffix with a path or URI from elsewhere.

        One name is a match, several are equally good, none means that there is no such file.
        """
        wanted = reference.replace("\\", "/").split("/")
        candidates = self._by_file_name.get(wanted[-1], [])
        lengths = [_common(reversed(wanted), reversed(name.split("/"))) for name in candidates]
        longest = max(lengths, default=0)
        return [name for name, length in zip(candidates, lengths, strict=True) if length == longest]


def _common(a: Iterator[str], b: Iterator[str]) -> int:
    count = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        count += 1
    return count


class Folder(Files):
    """A folder; with `chosen`, one of its files was meant."""

    def __init__(self, root: Path, chosen: str | None = None) -> None:
        self._root = root
        self.chosen = chosen

    @cached_property
    def _listing(self) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
        names: list[str] = []
        refused: list[Problem] = []
        inside = self._root.resolve()
        for folder, folders, files in os.walk(self._root):
            for entry in (*folders, *files):
                path = Path(folder, entry)
                name = path.relative_to(self._root).as_posix()
                if is_hidden(name):
                    continue
                if path.is_symlink() and not path.resolve().is_relative_to(inside):
                    refused.append(Problem("outside-link", str(path), "", "links to outside the folder"))
                elif path.is_file():
                    names.append(name)
        return tuple(sorted(names)), tuple(refused)

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return self._listing[0]

    @property
    def refused(self) -> tuple[Problem, ...]:  # type: ignore[override]
        return self._listing[1]

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read()

    def open(self, name: str) -> BinaryIO:
        try:
            return (self._root / name).open("rb")
        except OSError as error:
            raise DatasetError(self._root / name, f"cannot be read: {error.strerror}") from error

    def uri(self, name: str) -> str:
        return (self._root / name).resolve().as_uri()


class Zip(Files):
    """A zip, as a path or as a stream that can seek. Names that lead out of it are refused."""

    def __init__(self, path: str, opened: BinaryIO | None = None) -> None:
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
        # Seeking in a compressed member starts again from its beginning, so it is unpacked, once, to a file
        # that has no name and goes with the stream.
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
        whole = self._path if "://" in self._path else Path(self._path).resolve().as_uri()
        return f"{whole}#member={quote(name)}"

    def _archive(self) -> zipfile.ZipFile:
        # A forked data-loading worker must not share its parent's file position.
        with self._lock:
            if self._open is None or self._open[0] != os.getpid():
                self._open = (os.getpid(), zipfile.ZipFile(self._stream or self._path))
            return self._open[1]


_ZIP_ERRORS = (OSError, KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, EOFError)


def is_hidden(name: str) -> bool:
    """Whether a file belongs to the operating system that packed it, and not to the data."""
    parts = PurePosixPath(name).parts
    return parts[:1] == ("__MACOSX",) or any(part.startswith(".") and part != ".." for part in parts)


def _leads_outside(name: str) -> bool:
    windows = PureWindowsPath(name)
    return name.startswith(("/", "\\")) or bool(windows.drive) or ".." in windows.parts

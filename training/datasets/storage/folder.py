"""The files of a data set in a folder."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from training.datasets.problems import DatasetError, Problem
from training.datasets.storage.files import Files, read_bounded
from training.datasets.storage.names import decodings, is_hidden


class Folder(Files):
    """The files below a folder. Links to outside the folder are refused."""

    def __init__(self, root: Path, chosen: str | None = None) -> None:
        self._root = root
        self.chosen = chosen
        self.aliases: dict[str, tuple[str, ...]] = {}
        self._stored: dict[str, str] = {}

    @cached_property
    def _listing(self) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
        names: list[str] = []
        refused: list[Problem] = []
        inside = self._root.resolve()
        for folder, folders, files in os.walk(self._root):
            folders[:] = [entry for entry in folders if not is_hidden(entry)]
            for entry in (*folders, *files):
                path = Path(folder, entry)
                name = path.relative_to(self._root).as_posix()
                if is_hidden(name):
                    continue
                name = self._readable(name)
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

    def _readable(self, name: str) -> str:
        """Return a name as text. A name whose bytes are no UTF-8 comes from a machine with another code page."""
        try:
            name.encode()
            return name
        except UnicodeEncodeError:
            readable, *others = decodings(os.fsencode(name))
            self._stored[readable] = name
            self.aliases[readable] = tuple(others)
            return readable

    def _path(self, name: str) -> Path:
        return self._root / self._stored.get(name, name)

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return read_bounded(file, self._root / name)

    def open(self, name: str) -> BinaryIO:
        try:
            return self._path(name).open("rb")
        except OSError as error:
            raise DatasetError(self._root / name, f"cannot be read: {error.strerror}") from error

    def uri(self, name: str) -> str:
        return self._path(name).resolve().as_uri()

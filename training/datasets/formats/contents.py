"""What the files of a source begin with, so that a format is recognised by content and not by the name of a file.

No image is opened. Of a folder with thousands of label files of one suffix, some are looked at.
"""

from __future__ import annotations

import codecs
import io
import json
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from training.datasets import bounds
from training.datasets.problems import DatasetError
from training.datasets.storage.files import Files

# Enough for the first entries of any label file.
_FIRST_BYTES = 65_536
_LINES_LOOKED_AT = 20
_LOOKED_AT = 100  # of the files of one suffix in one folder

JSON_SUFFIXES = (".json", ".geojson")
LINES_SUFFIXES = (".manifest", ".jsonl", ".ndjson")
TABLE_SUFFIXES = (".csv", ".tsv")
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# Both take what they have once matched for good: to try other ways could take hours.
_ROOT = re.compile(r"(?>\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>)*+<([\w:.-]+)", re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


class Contents:
    """The files of a source by what they contain.

    Attributes:
        files: The files of the source.
        names: The files in which labels may be: the one that the user named, or all.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self.names = files.names if files.chosen is None else (files.chosen,)
        self._documents: dict[str, Any] = {}
        self._texts: dict[str, str] = {}

    def with_suffix(self, *suffixes: str) -> list[str]:
        """Return the names with one of these suffixes, in lower case."""
        return [name for name in self.names if name.lower().endswith(suffixes)]

    @cached_property
    def jsons(self) -> dict[str, Any]:
        """The JSON files that are no JSON Lines, each with its document; of a long one only the beginning."""
        return {
            name: document
            for name in self.looked_at_jsons
            if not self._is_lines(name) and (document := beginning(self.text(name))) is not None
        }

    @cached_property
    def lines(self) -> dict[str, list[dict[str, Any]]]:
        """The JSON Lines files, each with its first objects."""
        names = self.with_suffix(*LINES_SUFFIXES)
        names += [name for name in self.looked_at_jsons if self._is_lines(name)]
        return {name: _objects(self.text(name)) for name in names}

    @cached_property
    def looked_at_jsons(self) -> list[str]:
        """The files with the suffix of JSON that were looked at, whether they are JSON or not."""
        return self._some(self.with_suffix(*JSON_SUFFIXES))

    @cached_property
    def xml_roots(self) -> dict[str, str]:
        """The XML files, each with the name of its root element; "" if it has none."""
        names = self._some(self.with_suffix(".xml"))
        return {name: match[1] if (match := _ROOT.match(self.text(name))) else "" for name in names}

    @cached_property
    def tables(self) -> dict[str, list[str]]:
        """The tables, each with its first lines."""
        return {
            name: self.text(name).splitlines()[:3] for name in self._some(self.with_suffix(*TABLE_SUFFIXES))
        }

    def document(self, name: str) -> Any:
        """Return the whole document of a JSON file; it is read once.

        Raises:
            DatasetError: It is not JSON.
        """
        if name not in self._documents:
            self._documents[name] = load_json(self.files, name)
        return self._documents[name]

    def like(self, names: Iterable[str], looked_at: Iterable[str]) -> tuple[str, ...]:
        """Return files, and those that were not looked at in the same folders and with the same suffix.

        Args:
            names: Files that were looked at, and belong to a format.
            looked_at: All files that were looked at.
        """
        chosen, others = set(names), set(looked_at)
        groups = {_group(name) for name in chosen}
        return tuple(
            name for name in self.names if name in chosen or (name not in others and _group(name) in groups)
        )

    def _some(self, names: list[str]) -> list[str]:
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name in names:
            groups[_group(name)].append(name)
        return [name for group in groups.values() for name in group[:_LOOKED_AT]]

    def text(self, name: str) -> str:
        """Return the beginning of a text file; "" if it cannot be read, which its format reports."""
        if name not in self._texts:
            try:
                self._texts[name] = decode(self.files.peek(name, _FIRST_BYTES))
            except DatasetError:
                self._texts[name] = ""
        return self._texts[name]

    def _is_lines(self, name: str) -> bool:
        """Return whether a .json file is JSON Lines: a complete object in its first line, and one in the next."""
        lines = [line for line in self.text(name).splitlines() if line.strip()]
        if not lines or not (first := _object(lines[0])):
            return False
        return "source-ref" in first or (len(lines) > 1 and lines[1].lstrip().startswith("{"))


def decode(data: bytes) -> str:
    """Return a text in UTF-8 or UTF-16, or in the usual code page of the West."""
    for bom, encoding in _BOMS.items():
        if data.startswith(bom):
            return data.decode(encoding, "replace")
    return data.decode("utf-8", "ignore") if _is_utf8(data) else data.decode("cp1252", "replace")


def load_json(files: Files, name: str) -> Any:
    """Return the document of a JSON file.

    Raises:
        DatasetError: It cannot be read, or it is not JSON.
    """
    try:
        return json.loads(decode(files.read(name)))
    except (ValueError, RecursionError) as error:
        raise DatasetError(name, f"is not readable JSON: {error}") from error


def text_lines(files: Files, name: str) -> Iterator[str]:
    """Yield the lines of a text file, one at a time. Raises DatasetError if it cannot be read."""
    first = files.peek(name, _FIRST_BYTES)
    encoding = next((encoding for bom, encoding in _BOMS.items() if first.startswith(bom)), "")
    if not encoding:
        encoding = "utf-8" if _is_utf8(first) else "cp1252"
    with files.stream(name) as stream, io.TextIOWrapper(stream, encoding, "replace", newline=None) as lines:
        left = bounds.FILE_BYTES
        while line := _line(lines, name):
            left -= len(line)
            if left < 0:
                raise DatasetError(
                    name, f"has more than {bounds.FILE_BYTES >> 20} MiB: divide it into several files"
                )
            yield line


def _line(lines: io.TextIOWrapper, name: str) -> str:
    """Return the next line, "" after the last."""
    try:
        line = lines.readline(bounds.LINE_CHARACTERS + 1)
    # What a zip has packed may be damaged anywhere.
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(name, f"cannot be read: {error}") from error
    if len(line) > bounds.LINE_CHARACTERS:
        raise DatasetError(name, f"has a line of more than {bounds.LINE_CHARACTERS:,} characters")
    return line


def numbered_lines(files: Files, name: str) -> Iterator[tuple[str, str]]:
    """Yield each line of a text file that is not blank, with its place, such as `line 3`. Raises as `text_lines`."""
    for number, text in enumerate(text_lines(files, name), start=1):
        if text.strip():
            yield f"line {number}", text


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        # A beginning may end within a character.
        return error.start > len(data) - 4 and len(data) >= _FIRST_BYTES
    return True


def beginning(text: str) -> Any:
    """Return a JSON document, or what a document that is cut off has until there; None if it is not JSON.

    >>> beginning('{"images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "fi')
    {'images': [{'id': 1, 'file_name': 'a.png'}, {'id': 2}]}
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if text.lstrip()[:1] not in ("{", "["):
        return None
    closing: list[str] = []
    end = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "{[":
            closing.append("}" if token[0] == "{" else "]")
        elif token[0] in "}]":
            if not closing:
                return None
            closing.pop()
        elif token[0] != ",":
            continue
        # Before a comma and after a bracket, every value so far is complete.
        end = token.start() if token[0] == "," else token.end()
    try:
        return json.loads(text[:end] + "".join(reversed(closing)))
    except (ValueError, RecursionError):
        return None


def _objects(text: str) -> list[dict[str, Any]]:
    lines = [line for line in text.splitlines() if line.strip()]
    return [found for line in lines[:_LINES_LOOKED_AT] if (found := _object(line))]


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _group(name: str) -> tuple[str, str]:
    path = PurePosixPath(name)
    return path.parent.as_posix(), path.suffix.lower()

"""MXNet RecordIO with detection labels, as SageMaker's built-in object detection reads it.

Framing: magic, then three bits of continuation flag and 29 of length, the data, and padding to four bytes;
data that holds the magic at a multiple of four is split there into several parts. A record is a header (flag,
label, id, id2), `flag` floats, and the image file. The floats are: header width A >= 2, object width B >= 5, the
rest of the header, then for each object class, xmin, ymin, xmax, ymax in 0..1 and what else B has room for.
Source: dmlc-core include/dmlc/recordio.h; mxnet python/mxnet/recordio.py (`pack`) and
src/io/image_det_aug_default.cc (`ImageDetLabel::FromArray`).
"""

from __future__ import annotations

import math
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from training.datasets.dataset import Object
from training.datasets.entries import Entry, Source
from training.datasets.files import Files
from training.datasets.problems import DatasetError, Problems

MAGIC = struct.pack("<I", 0xCED7230A)
MAX_RECORD_BYTES = 1 << 29  # a length has 29 bits
WHOLE, BEGIN, MIDDLE, END = range(4)
HEADER = struct.Struct("<IfQQ")
NAMES = "classes.txt"
_FRAME = struct.Struct("<4sI")


class RecordError(ValueError):
    """The bytes are no record; says what is wrong with them."""


def write_record(stream: BinaryIO, data: bytes) -> int:
    """Writes one record; returns the offset that it begins at. Raises RecordError if it is too large."""
    if len(data) >= MAX_RECORD_BYTES:
        raise RecordError(f"{len(data):,} bytes are more than a record can hold")
    offset = stream.tell()
    parts = _parts(data)
    flags = [BEGIN, *[MIDDLE] * (len(parts) - 2), END] if len(parts) > 1 else [WHOLE]
    for flag, part in zip(flags, parts, strict=True):
        stream.write(_FRAME.pack(MAGIC, flag << 29 | len(part)) + part)
    stream.write(b"\0" * (-len(parts[-1]) % 4))
    return offset


def _parts(data: bytes) -> list[bytes]:
    """The data without the magic numbers that stand at multiples of four, cut where they stood."""
    parts, begin, found = [], 0, data.find(MAGIC)
    while found >= 0:
        if found % 4 == 0:
            parts.append(data[begin:found])
            begin = found + 4
            found = data.find(MAGIC, begin)
        else:
            found = data.find(MAGIC, found + 1)
    return [*parts, data[begin:]]


def read_record(stream: BinaryIO) -> bytes | None:
    """The record at the stream's position; None at its end. Raises RecordError."""
    parts: list[bytes] = []
    while True:
        frame = stream.read(8)
        if not frame and not parts:
            return None
        if len(frame) < 8:
            raise RecordError("the file ends within a record")
        magic, word = _FRAME.unpack(frame)
        flag, length = word >> 29, word & (MAX_RECORD_BYTES - 1)
        if magic != MAGIC:
            raise RecordError(f"a record begins with {magic.hex()}, not with {MAGIC.hex()}")
        if flag not in ((MIDDLE, END) if parts else (WHOLE, BEGIN)):
            raise RecordError(f"the continuation flag {flag} is out of order")
        part = stream.read(length)
        if len(part) < length or len(stream.read(-length % 4)) < -length % 4:
            raise RecordError("the file ends within a record")
        parts.append(part)
        if flag in (WHOLE, END):
            return MAGIC.join(parts)


def unpack(record: bytes) -> tuple[list[float], bytes]:
    """The label's floats and the image file of a record. Raises RecordError."""
    if len(record) < HEADER.size:
        raise RecordError(f"{len(record)} bytes are less than a header")
    count, label, _, _ = HEADER.unpack_from(record)
    if count == 0:
        return [label], record[HEADER.size :]
    end = HEADER.size + 4 * count
    if end > len(record):
        raise RecordError(f"the header tells of {count} label values, more than there are bytes")
    return list(struct.unpack_from(f"<{count}f", record, HEADER.size)), record[end:]


class Records(Files):
    """The images inside .rec files: `train.rec/0.jpg` is the image of the first record."""

    def __init__(self, base: Files) -> None:
        self._base = base
        self._places: dict[str, tuple[str, int]] = {}
        self._open: dict[tuple[int, str], BinaryIO] = {}
        self._lock = threading.Lock()
        self.refused = base.refused

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self._places)

    def add(self, name: str, file: str, offset: int) -> None:
        """Takes in the record of `file` at `offset`, under a name."""
        self._places[name] = file, offset

    def at(self, file: str, offset: int) -> bytes:
        """The image in the record of `file` at `offset`. Raises DatasetError."""
        with self._lock:
            key = os.getpid(), file  # a forked worker must not share its parent's file position
            if key not in self._open:
                self._open[key] = self._base.open(file)
            stream = self._open[key]
            stream.seek(offset)
            try:
                return unpack(read_record(stream) or b"")[1]
            except RecordError as error:
                raise DatasetError(f"{file}, byte {offset}", str(error)) from error

    def read(self, name: str) -> bytes:
        if name not in self._places:
            raise DatasetError(name, "is no record")
        return self.at(*self._places[name])

    def open(self, name: str) -> BinaryIO:
        return self._base.open(name)

    def uri(self, name: str) -> str:
        file, offset = self._places[name]
        whole = self._base.uri(file)
        return f"{whole}{'&' if '#' in whole else '#'}offset={offset}"


def find(files: Files) -> list[str] | None:
    """The .rec files: the one chosen, or all that there are."""
    names = files.names if files.chosen is None else (files.chosen,)
    return [name for name in names if name.lower().endswith(".rec")] or None


def read(files: Files, found: list[str], problems: Problems) -> Source:
    """Every record of the .rec files, as an image of its own."""
    labels = _names(files, found, problems)
    records = Records(files)
    return Source(records, _entries(files, found, records, labels, problems), 0, labels)


def _names(files: Files, found: list[str], problems: Problems) -> list[str] | None:
    """The class names beside the first file; None, and a problem, if there are none."""
    name = (PurePosixPath(found[0]).parent / NAMES).as_posix()
    try:
        lines = files.read(name).decode("utf-8-sig", "replace").splitlines()
    except DatasetError:
        message = f"has no {NAMES} beside it: the class numbers are taken as names"
        problems.report("no-class-names", found[0], message)
        return None
    return [line.strip() for line in lines if line.strip()]


def _entries(
    files: Files, found: list[str], records: Records, labels: list[str] | None, problems: Problems
) -> Iterator[Entry]:
    for file in found:
        offsets: set[int] = set()
        with files.open(file) as stream:
            for number, (offset, record) in enumerate(_scan(stream, file, problems)):
                offsets.add(offset)
                place = f"record {number} at byte {offset}"
                try:
                    values, image = unpack(record)
                    objects, tags = _labelled(values, labels)
                except RecordError as error:
                    problems.report("broken-record", file, str(error), place)
                    continue
                except LookupError as error:
                    message = f"class {error} is not among the {len(labels or ())} names"
                    problems.report("unknown-class", file, message, place)
                    continue
                name = f"{file}/{number}{suffix_of(image)}"
                records.add(name, file, offset)
                yield Entry(name, file, objects, normalised=True, tags=tags)
        _check_index(files, file, offsets, problems)


def _scan(stream: BinaryIO, file: str, problems: Problems) -> Iterator[tuple[int, bytes]]:
    while True:
        offset = stream.tell()
        try:
            record = read_record(stream)
        except RecordError as error:
            # Without the length there is no way to tell where the next record begins.
            problems.report("broken-record", file, str(error), f"byte {offset}")
            return
        if record is None:
            return
        yield offset, record


def _labelled(values: list[float], labels: list[str] | None) -> tuple[tuple[Object, ...], tuple[str, ...]]:
    """Boxes in 0..1, or the tag of a record labelled as a whole. Raises RecordError, LookupError."""
    if not all(math.isfinite(value) for value in values):
        raise RecordError("a label value is no finite number")
    if len(values) == 1:
        return (), (_name(values[0], labels),)
    header, width = int(values[0]), int(values[1])
    if header < 2 or width < 5 or header > len(values) or (len(values) - header) % width:
        raise RecordError(
            f"{len(values)} label values do not fit a header of {header} and objects of {width}"
        )
    objects = []
    for start in range(header, len(values), width):
        number, x1, y1, x2, y2 = values[start : start + 5]
        if number >= 0:  # a negative class is padding
            objects.append(Object(_name(number, labels), (x1, y1, x2, y2)))
    return tuple(objects), ()


def _name(number: float, labels: list[str] | None) -> str:
    if labels is None:
        return f"{number:g}"
    if not number.is_integer() or not 0 <= number < len(labels):
        raise LookupError(f"{number:g}")
    return labels[int(number)]


def _check_index(files: Files, file: str, offsets: set[int], problems: Problems) -> None:
    """Compares the .idx file, if there is one, with where the records are."""
    index = PurePosixPath(file).with_suffix(".idx").as_posix()
    try:
        lines = files.read(index).decode("ascii", "replace").split("\n")
    except DatasetError:
        return  # optional
    try:
        listed = {int(line.split("\t")[1]) for line in lines if line.strip()}
    except (ValueError, IndexError):
        listed = set()
    if not listed <= offsets or not listed:
        problems.report("index-mismatch", index, f"does not tell where the records of {file} begin")


def suffix_of(image: bytes) -> str:
    """The usual file name suffix for an image file's bytes; "" for none that is known."""
    for begin, suffix in _BEGINNINGS:
        if image.startswith(begin):
            return suffix
    return ".webp" if image[8:12] == b"WEBP" else ""


_BEGINNINGS = (
    (b"\xff\xd8", ".jpg"),
    (b"\x89PNG", ".png"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
)

"""MXNet RecordIO files: the framing of records, and the images inside .rec files.

Framing: a magic number, a word with three bits of continuation flag and 29 bits of length, the data, and padding to
four bytes. Data that contains the magic number at a multiple of four is split there into several parts. A record is
a header (flag, label, id, id2), `flag` floats, and the image file.

Source: dmlc-core include/dmlc/recordio.h; mxnet python/mxnet/recordio.py (`pack`).
"""

from __future__ import annotations

import os
import struct
import threading
from typing import BinaryIO

from training.datasets import bounds
from training.datasets.problems import DatasetError
from training.datasets.storage.files import Files

MAGIC = struct.pack("<I", 0xCED7230A)
MAX_RECORD_BYTES = 1 << 29  # a length has 29 bits
WHOLE, BEGIN, MIDDLE, END = range(4)
HEADER = struct.Struct("<IfQQ")
_FRAME = struct.Struct("<4sI")


class RecordError(ValueError):
    """The bytes are not a record; the message says what is wrong with them."""


def write_record(stream: BinaryIO, data: bytes) -> int:
    """Write one record.

    Returns:
        The offset at which the record begins.

    Raises:
        RecordError: The data is too large for a record.
    """
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
    """Return the data cut at each magic number at a multiple of four, without these magic numbers."""
    parts, begin, position = [], 0, data.find(MAGIC)
    while position >= 0:
        if position % 4 == 0:
            parts.append(data[begin:position])
            begin = position + 4
            position = data.find(MAGIC, begin)
        else:
            position = data.find(MAGIC, position + 1)
    return [*parts, data[begin:]]


def read_record(stream: BinaryIO) -> bytes | None:
    """Return the record at the stream's position; None at the end of the stream.

    Raises:
        RecordError: There is no complete record at this position.
    """
    parts, total = list[bytes](), 0
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
        total += length
        if total > bounds.FILE_BYTES:
            raise RecordError(f"a record has more than {bounds.FILE_BYTES >> 20} MiB: it is no image")
        part = stream.read(length)
        if len(part) < length or len(stream.read(-length % 4)) < -length % 4:
            raise RecordError("the file ends within a record")
        parts.append(part)
        if flag in (WHOLE, END):
            return MAGIC.join(parts)


def unpack(record: bytes) -> tuple[list[float], bytes]:
    """Return the label's floats and the image file of a record.

    Raises:
        RecordError: The record is shorter than its header states.
    """
    if len(record) < HEADER.size:
        raise RecordError(f"{len(record)} bytes are less than a header")
    count, label, _, _ = HEADER.unpack_from(record)
    if count == 0:
        return [label], record[HEADER.size :]
    if count > bounds.RECORD_VALUES:
        raise RecordError(f"the header states {count} label values, more than {bounds.RECORD_VALUES:,}")
    end = HEADER.size + 4 * count
    if end > len(record):
        raise RecordError(f"the header states {count} label values, more than there are bytes")
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
        """Add the record of `file` at `offset` under a name."""
        self._places[name] = file, offset

    def read_at(self, file: str, offset: int) -> bytes:
        """Return the image in the record of `file` at `offset`.

        Raises:
            DatasetError: The file cannot be read, or has no record there.
        """
        with self._lock:
            # A forked data-loading worker must not share its parent's file position.
            key = os.getpid(), file
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
            raise DatasetError(name, "is not a record")
        return self.read_at(*self._places[name])

    def open(self, name: str) -> BinaryIO:
        return self._base.open(name)

    def uri(self, name: str) -> str:
        file, offset = self._places[name]
        file_uri = self._base.uri(file)
        return f"{file_uri}{'&' if '#' in file_uri else '#'}offset={offset}"

"""The directory of a zip: looked at before it is believed.

A zip of a few kilobytes can list millions of files, unpack the same bytes many times, or state a size that is not true.

Source: APPNOTE.TXT 4.3 (pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT); David Fifield, "A better zip bomb",
WOOT 2019.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence
from typing import BinaryIO

from training.datasets import bounds
from training.datasets.problems import DatasetError

_END, _END_64, _LOCATOR = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_END_BYTES, _LOCATOR_BYTES, _COMMENT_BYTES = 22, 20, 65_535
_LOCAL_BYTES = 30  # before each member, without its name
_IS_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNPACK = "unpack it, and name the folder"


def check_directory(path: str, stream: BinaryIO) -> None:
    """Refuse a zip whose directory is too long to be read into memory.

    Args:
        path: What the user named, for messages.
        stream: The zip.

    Raises:
        DatasetError: It is too long.
    """
    length = stream.seek(0, io.SEEK_END)
    start = max(0, length - _END_BYTES - _COMMENT_BYTES)
    stream.seek(start)
    tail = stream.read(_END_BYTES + _COMMENT_BYTES)
    at = tail.rfind(_END)
    if at < 0 or at + _END_BYTES > len(tail):
        return  # no zip, as its reader will say
    (size,) = struct.unpack_from("<I", tail, at + 12)
    if size == 0xFFFFFFFF and tail[at - _LOCATOR_BYTES : at - _LOCATOR_BYTES + 4] == _LOCATOR:
        (place,) = struct.unpack_from("<Q", tail, at - _LOCATOR_BYTES + 8)
        stream.seek(min(place, length))
        record = stream.read(56)
        size = struct.unpack_from("<Q", record, 40)[0] if record[:4] == _END_64 and len(record) == 56 else 0
    if min(size, length) > bounds.ZIP_DIRECTORY_BYTES:
        raise DatasetError(path, f"lists more than {bounds.ZIP_FILES:,} files: {_UNPACK}")


def check_entries(path: str, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse a zip whose entries cannot all be what they state.

    Args:
        path: What the user named, for messages.
        entries: The files that it lists.

    Raises:
        DatasetError: They are too many, encrypted, or packed in an unusual way, or they share bytes or state sizes that
            no file has.
    """
    if len(entries) > bounds.ZIP_FILES:
        raise DatasetError(path, f"lists more than {bounds.ZIP_FILES:,} files: {_UNPACK}")
    if any(entry.flag_bits & _IS_ENCRYPTED for entry in entries):
        raise DatasetError(path, f"is encrypted: {_UNPACK}")
    if other := next((entry for entry in entries if entry.compress_type not in _METHODS), None):
        raise DatasetError(
            path, f"has files that are not packed by Deflate, such as {other.filename!r}: {_UNPACK}"
        )
    end, before = 0, ""
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise DatasetError(
                path, f"has two files at one place, {before!r} and {entry.filename!r}: it is no usual zip"
            )
        end = entry.header_offset + _LOCAL_BYTES + entry.compress_size
        before = entry.filename
        if entry.file_size > bounds.ZIP_RATIO * (entry.compress_size + 16):
            raise DatasetError(
                path,
                f"states that {entry.filename!r} unpacks to {entry.file_size:,} bytes: it is no usual zip",
            )

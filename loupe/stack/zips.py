"""The files of a zip, read without unpacking it."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from loupe.errors import LoupeError
from loupe.stack.skipped import IMAGE_SUFFIXES

_MAX_MEMBER_BYTES = 1 << 30
_ENCRYPTED = 0x1
_NAME_IS_UTF8 = 0x800
_SUPPORTED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
# https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.4.5 and 4.6.9
_METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 93: "zstandard", 95: "xz", 97: "wavpack", 98: "ppmd"}
_UNICODE_PATH = 0x7075
_UNPACK = "Unpack it, and drop the folder."
# What zipfile raises for damaged content depends on where the damage is.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, ValueError, NotImplementedError, RuntimeError),
)


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a zip.

    Attributes:
        path: Its name.
        check: Raises LoupeError if it cannot be read.
        read: Returns its bytes.
    """

    path: PurePosixPath
    check: Callable[[], None]
    read: Callable[[], bytes]


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip, or should be one. A picture may have a zip behind it, and stays a picture."""
    suffix = path.suffix.lower()
    return (suffix == ".zip" and path.is_file()) or (
        suffix not in IMAGE_SUFFIXES and zipfile.is_zipfile(path)
    )


def members(path: Path, code_page: str | None) -> Iterator[Member]:
    """Yield the files of a zip.

    Args:
        path: The zip.
        code_page: Of names that are not marked as UTF-8; None: not known.

    Raises:
        LoupeError: The zip is damaged, or the code page is not known to Python.
    """
    try:
        # It stays open for the returned functions, which may read in parallel.
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    for info in archive.infolist():
        if not info.is_dir():
            name = _name(path, info, code_page)
            yield Member(name, partial(_check, path, archive, info), partial(_read, path, archive, info))


def _name(path: Path, info: zipfile.ZipInfo, code_page: str | None) -> PurePosixPath:
    """Return a member's name. Python takes names that are not marked as UTF-8 for those of MS-DOS, code page 437."""
    name = info.filename
    if not name.isascii() and not info.flag_bits & _NAME_IS_UTF8:
        raw = info.orig_filename.encode("cp437")
        name = _unicode_path(info.extra, raw) or _decoded(path, raw, code_page)
    # Some programs for Windows write backslashes, against the specification.
    return PurePosixPath(name if "/" in name else name.replace("\\", "/"))


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """Return the name of a member's field for names in UTF-8; None if there is none that belongs to the raw name."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and field[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
            return field[5:].decode(errors="replace")
    return None


def _decoded(path: Path, raw: bytes, code_page: str | None) -> str:
    try:
        # macOS and Linux write UTF-8 without marking it. Other code pages hardly ever look like it.
        return raw.decode(code_page or "utf-8")
    except LookupError as error:
        raise LoupeError(
            f"--zip-names {code_page!r} is no code page", "Give one such as cp850, cp932 or gbk."
        ) from error
    except UnicodeDecodeError as error:
        shown = raw.decode("ascii", "backslashreplace")
        if code_page:
            raise LoupeError(
                f"{path}: the name {shown} is not in code page {code_page}", "Try another --zip-names."
            ) from error
        raise LoupeError(
            f"{path}: it does not say in which code page its names are, such as {shown}",
            "Add --zip-names CODEPAGE: cp850 for Windows in Western Europe, cp932 in Japan, gbk in China.",
        ) from error


def _check(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    if info.file_size > _MAX_MEMBER_BYTES:
        raise LoupeError(f"{path}: {info.filename} unpacks to over 1 GiB", _UNPACK)
    if info.flag_bits & _ENCRYPTED:
        raise LoupeError(f"{path} is encrypted", "Unpack it with its password, and drop the folder.")
    if info.compress_type not in _SUPPORTED:
        method = _METHODS.get(info.compress_type, f"number {info.compress_type}")
        raise LoupeError(f"{path}: the compression of {info.filename} ({method}) is not supported", _UNPACK)
    try:
        with archive.open(info) as content:
            # Its checksum is compared at the end.
            while content.read(1 << 20):
                pass
    except _DAMAGE as error:
        raise _damaged(path, f"{info.filename}: {error}") from error


def _read(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(info)
    except _DAMAGE as error:
        raise _damaged(path, f"{info.filename}: {error}") from error


def _damaged(path: Path, reason: str) -> LoupeError:
    return LoupeError(
        f"{path} is damaged, or no zip: {reason}",
        "Copy it again, or make it again; nothing was uploaded from it.",
    )

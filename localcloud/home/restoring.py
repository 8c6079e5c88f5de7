"""Brings a local cloud back from a backup (backup.py). Nothing changes before the whole file has proved to be good."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from localcloud.errors import AlreadyRunningError, BackupError
from localcloud.home.backup import FORMAT, MANIFEST, Entry, Manifest
from localcloud.home.lock import Lock, holder
from localcloud.home.reset import parts
from localcloud.home.space import LEAST_FREE_BYTES

_LARGEST_MANIFEST = 256 << 20
_BLOCK = 1 << 20
_FOLDER = ".restoring"
_ANOTHER = "Take another backup."


def check(file: Path, on_progress: Callable[[int, int], None] = lambda done, of: None) -> Manifest:
    """Read a whole backup, compare each file with its checksum, and return what it says of itself.

    Raises:
        BackupError: It is no backup, of a newer version, or damaged.
    """
    done = 0
    with _opened(file) as (manifest, contents):
        for entry, stream in contents:
            _copy(entry, stream, None)
            done += entry.size
            on_progress(done, manifest.size)
    return manifest


def restore(
    home: Path, file: Path, on_progress: Callable[[int, int], None] = lambda done, of: None
) -> Manifest:
    """Put the content of a backup in the place of what a home has.

    Args:
        home: The home. Files in it that Loupe has not written stay.
        file: The backup.
        on_progress: Receives how many bytes are unpacked, and of how many.

    Raises:
        AlreadyRunningError: A cloud is running there.
        BackupError: The file is not good, or there is no room. The home is as it was.
        OSError: The home cannot be written. The home is as it was.
    """
    manifest = check(file)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = Lock(home)
    if not lock.acquire():
        running = holder(home)
        raise AlreadyRunningError(home, running.pid if running else None, None)
    folder = home / _FOLDER
    try:
        shutil.rmtree(folder, ignore_errors=True)
        free = shutil.disk_usage(home).free
        if free < manifest.size + LEAST_FREE_BYTES:
            raise BackupError(
                f"The backup needs {manifest.size:,} bytes in {home}, and {free:,} are free.",
                "Free some space, or choose another folder: --home FOLDER",
            )
        _unpack(file, folder, on_progress)
        _exchange(home, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
    return manifest


def _unpack(file: Path, folder: Path, on_progress: Callable[[int, int], None]) -> None:
    done = 0
    with _opened(file) as (manifest, contents):
        for entry, stream in contents:
            target = folder / entry.name
            try:
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                    _copy(entry, stream, out)
            except OSError as error:
                if error.errno is None:
                    raise  # gzip's: the file changes while it is read
                raise BackupError(
                    f"{folder.parent} cannot be written: {error.strerror}.",
                    "Free some space, or choose another folder: --home FOLDER",
                ) from error
            done += entry.size
            on_progress(done, manifest.size)


def _exchange(home: Path, folder: Path) -> None:
    """Replace the state of a home by what was unpacked beside it."""
    for path in parts(home):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path in folder.iterdir():
        path.replace(home / path.name)


@contextmanager
def _opened(file: Path) -> Iterator[tuple[Manifest, Iterator[tuple[Entry, BinaryIO]]]]:
    """Open a backup: what it says of itself, and the files in the order in which it has them.

    Raises:
        BackupError: It is no backup, of a newer version, or damaged.
    """
    try:
        # Not tarfile's own reader of gzip, which does not compare the checksum at the end.
        with gzip.open(file) as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
            manifest = _manifest(tar, file)
            yield manifest, _contents(tar, manifest, file)
            while packed.read(_BLOCK):
                pass
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise BackupError(f"{file} is no backup of Loupe, or damaged: {error}.", _ANOTHER) from error
    except OSError as error:
        # gzip reports a wrong checksum so, and has no number for it.
        if error.errno is None:
            raise BackupError(f"{file} is no backup of Loupe, or damaged: {error}.", _ANOTHER) from error
        raise BackupError(
            f"{file} cannot be read: {error.strerror}.", "See its name and permissions."
        ) from error


def _manifest(tar: tarfile.TarFile, file: Path) -> Manifest:
    member = tar.next()
    if member is None or member.name != MANIFEST or not member.isfile() or member.size > _LARGEST_MANIFEST:
        raise BackupError(f"{file} is no backup of Loupe.", "One is written by: loupe backup FILE")
    stream = tar.extractfile(member)
    try:
        document: Any = json.loads(stream.read() if stream else b"")
        known = int(document["format"])
        if known > FORMAT:
            raise BackupError(
                f"{file} is of a newer version of Loupe ({document.get('version')}).", "Install that version."
            )
        entries = [
            Entry(str(each["name"]), int(each["size"]), str(each["sha256"])) for each in document["files"]
        ]
        return Manifest(known, str(document["version"]), str(document["created_at"]), entries)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BackupError(f"{file} is damaged: what it says of itself cannot be read.", _ANOTHER) from error


def _contents(tar: tarfile.TarFile, manifest: Manifest, file: Path) -> Iterator[tuple[Entry, BinaryIO]]:
    """Yield what the manifest announces, and nothing else."""
    for entry in manifest.files:
        member = tar.next()
        if member is None or member.name != entry.name or member.size != entry.size or not member.isfile():
            raise BackupError(f"{file} is damaged: {entry.name} is missing.", _ANOTHER)
        if not _stays_inside(entry.name):
            raise BackupError(f"{file} is no backup of Loupe: {entry.name} leads out of the home.", _ANOTHER)
        stream: Any = tar.extractfile(member)
        yield entry, stream
    if tar.next() is not None:
        raise BackupError(f"{file} is damaged: it has more files than it says.", _ANOTHER)


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name and str(path) == name


def _copy(entry: Entry, stream: BinaryIO, out: BinaryIO | None) -> None:
    """Copy a file, and compare it with its checksum. out: None to compare only."""
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK):
        digest.update(block)
        if out is not None:
            out.write(block)
    if digest.hexdigest() != entry.sha256:
        raise BackupError(f"The backup is damaged: {entry.name} is not what was written.", _ANOTHER)

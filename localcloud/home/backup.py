"""Packs the state of a local cloud that does not run into one file.

The file is a tar archive. Its first member, `backup.json`, says what follows, with the size and the SHA-256 of each
file. So a reader knows what must be there before it takes anything out.

A backup opens no door. It has no key of the operator, no password, no token and no private key: the next start makes
new ones. People keep their names, groups and reviews, and get a new password (`loupe users password`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import secrets
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localcloud.errors import AlreadyRunningError, BackupError
from localcloud.home import connections
from localcloud.home.lock import Lock, holder

FORMAT = 1
MANIFEST = "backup.json"
# What a cloud cannot make again. Its logs are a part: alarms and `loupe logs` read them.
_FOLDERS = ("state", "s3", "sagemaker", "logs", "learn")
_FILES = (connections.FILE_NAME, "quotas.json")
_STATE = "state/"
# Private keys of the user pool, and the credentials of sessions.
_LEFT_OUT = ("state/cognito-pool-keys/", "state/sts.json")
_LEFT_OUT_SUFFIXES = (".pem", ".lock", ".new")
_COMPRESSION = 1  # images and models are compressed already


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a backup.

    Attributes:
        name: Its path in the home, with slashes.
        size: In bytes.
        sha256: Of its content.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        format: Of this file.
        version: The version of Loupe that has written it.
        created_at: When, ISO 8601 in UTC.
        files: What is in it, in this order.
    """

    format: int
    version: str
    created_at: str
    files: list[Entry]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(entry.size for entry in self.files)


def back_up(
    home: Path, file: Path, version: str, on_progress: Callable[[int, int], None] = lambda done, of: None
) -> Manifest:
    """Write a backup of a home. A file that exists stays as it is until the new one is complete.

    Args:
        home: The home.
        file: Where to write.
        version: The version of Loupe.
        on_progress: Receives how many bytes are packed, and of how many.

    Raises:
        AlreadyRunningError: A cloud is running there.
        BackupError: There is nothing to back up.
        OSError: The file cannot be written.
    """
    if not (home / "state").is_dir():
        raise BackupError(f"There is no local cloud in {home}.", "Start one: loupe up")
    lock = Lock(home)
    if not lock.acquire():
        running = holder(home)
        raise AlreadyRunningError(home, running.pid if running else None, None)
    try:
        return _write(home, file, version, on_progress)
    finally:
        lock.release()


def _write(home: Path, file: Path, version: str, on_progress: Callable[[int, int], None]) -> Manifest:
    files = sorted(_files(home))
    cleaned = {name: _without_credentials(home, name) for name in files if name in _CLEANED}
    entries = [_measured(home, name, cleaned.get(name)) for name in files]
    manifest = Manifest(FORMAT, version, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", entries)
    new = file.with_name(f".{file.name}.new")
    done = 0
    try:
        # Readable by its owner only, as the home.
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            with (
                gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=_COMPRESSION, filename="") as packed,
                tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
            ):
                _add(tar, MANIFEST, json.dumps(asdict(manifest)).encode())
                for entry in entries:
                    _add_entry(tar, home, entry, cleaned.get(entry.name))
                    done += entry.size
                    on_progress(done, manifest.size)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return manifest


def _files(home: Path) -> Iterator[str]:
    """Yield the files of a home that belong into a backup. A link is none: it would lead out of the home."""
    for name in _FILES:
        if (home / name).is_file() and not (home / name).is_symlink():
            yield name
    for folder in _FOLDERS:
        for path in (home / folder).rglob("*"):
            name = path.relative_to(home).as_posix()
            if path.is_file() and not path.is_symlink() and not _is_left_out(name):
                yield name


def _is_left_out(name: str) -> bool:
    return name.startswith(_LEFT_OUT) or (name.startswith(_STATE) and name.endswith(_LEFT_OUT_SUFFIXES))


def _measured(home: Path, name: str, content: bytes | None) -> Entry:
    """Return the entry of a file. content: what takes its place; None for the file itself."""
    if content is not None:
        return Entry(name, len(content), hashlib.sha256(content).hexdigest())
    with (home / name).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return Entry(name, stream.tell(), digest)


def _add_entry(tar: tarfile.TarFile, home: Path, entry: Entry, content: bytes | None) -> None:
    if content is not None:
        _add(tar, entry.name, content)
        return
    member = tarfile.TarInfo(entry.name)
    member.size = entry.size
    with (home / entry.name).open("rb") as stream:
        tar.addfile(member, stream)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _without_credentials(home: Path, name: str) -> bytes:
    """Return the content of a file that has credentials, without them."""
    document = json.loads((home / name).read_text())
    _CLEANED[name](document)
    return json.dumps(document).encode()


def _clean_connection(document: Any) -> None:
    # The address is needed at the next start, because the state contains it. A key that is refused gets replaced.
    document.update({"pid": 0, "pid_created": 0.0, "access_key_id": "none", "secret_access_key": "none"})


def _clean_iam(document: Any) -> None:
    document["payload"]["access_keys"]["data"] = {}


def _clean_cognito(document: Any) -> None:
    payload = document["payload"]
    for pool in payload["user_pools"]["data"].values():
        for user in pool.get("_users", {}).values():
            # Nobody knows it, and nobody can.
            user.update(_password=secrets.token_urlsafe(32), _tokens=[])
    for name in ("authorization_codes", "refresh_tokens", "auth_codes", "challenge_sessions"):
        kept = payload.get(name)
        if isinstance(kept, dict):
            # With the marks by which MiniStack tells its own kinds of dictionaries.
            payload[name] = {**kept, "data": {}} if "data" in kept else {}


_CLEANED: dict[str, Callable[[Any], None]] = {
    connections.FILE_NAME: _clean_connection,
    "state/iam.json": _clean_iam,
    "state/cognito.json": _clean_cognito,
}

"""What a job downloads from S3 and uploads to it."""

import contextlib
import json
import shutil
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from contract import s3 as s3_uris
from localcloud.daemon_pool import DaemonPool

# In the caller's thread: the transfer's own threads would keep the process alive while they try again.
TRANSFER = TransferConfig(use_threads=False)

_DOWNLOADS_AT_ONCE = 16
_CHUNK_BYTES = 1 << 20


class StorageError(Exception):
    """S3 does not contain what was requested; the message is a FailureReason."""


class CancelledError(Exception):
    """The job was stopped while it downloaded its input."""


class StoredObject(NamedTuple):
    """An object to read: where it is, and its name relative to the prefix or the manifest."""

    bucket: str
    key: str
    name: str


def split(uri: str) -> tuple[str, str]:
    """Return bucket and key of an S3 URI.

    Raises:
        StorageError: If it is not an S3 URI.
    """
    try:
        return s3_uris.split(uri)
    except ValueError as error:
        raise StorageError(str(error)) from error


def download(s3: Any, uri: str, folder: Path, cancelled: threading.Event, kind: str = "S3Prefix") -> None:
    """Download every object under a prefix, or listed in a manifest.

    The files' names are relative to the prefix. If the prefix is the whole key of an object, the file has the last
    part of the key as its name.

    Args:
        s3: The client.
        uri: The prefix, or the manifest.
        folder: The folder for the files.
        cancelled: Set to cancel the download.
        kind: "S3Prefix" or "ManifestFile".

    Raises:
        StorageError: If there are no objects, or the manifest is malformed.
        CancelledError: If the download was cancelled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    objects = find(s3, uri, kind)

    def fetch(source: StoredObject) -> None:
        if cancelled.is_set():
            return
        target = folder / source.name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise StorageError(
                f"The object s3://{source.bucket}/{source.key} has a name that leads out of its folder."
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.part")
        with temporary.open("wb") as file:
            body = s3.get_object(Bucket=source.bucket, Key=source.key)["Body"]
            shutil.copyfileobj(body, file, _CHUNK_BYTES)
        temporary.replace(target)

    with DaemonPool(_DOWNLOADS_AT_ONCE) as pool:
        list(pool.map(fetch, objects))
    if cancelled.is_set():
        raise CancelledError


def check_readable(s3: Any, uri: str, role: str) -> None:
    """Check that there is an object under `uri` and that the role may list it.

    Args:
        s3: A client with the role's permissions.
        uri: The prefix.
        role: The role, for the message.

    Raises:
        StorageError: If not.
    """
    bucket, key = split(uri)
    try:
        if s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents"):
            return
    except ClientError as error:
        raise StorageError(f"{_no_objects_message(uri, role)} Error message from S3: {error}") from error
    raise StorageError(_no_objects_message(uri, role))


def _no_objects_message(uri: str, role: str = "") -> str:
    return (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
        "exists in the selected region, that objects exist under that S3 prefix, and that the role "
        f'"{role}" has "s3:ListBucket" permissions on bucket "{split(uri)[0]}".'
    )


def find(s3: Any, uri: str, kind: str) -> list[StoredObject]:
    """Return every object under a prefix, or listed in a manifest.

    Args:
        s3: The client.
        uri: The prefix, or the manifest.
        kind: "S3Prefix" or "ManifestFile".

    Raises:
        StorageError: If there are no objects, or the manifest is malformed.
    """
    objects = list(_listed_in_manifest(s3, uri) if kind == "ManifestFile" else _under_prefix(s3, uri))
    if not objects:
        raise StorageError(_no_objects_message(uri))
    return objects


def _under_prefix(s3: Any, uri: str) -> Iterator[StoredObject]:
    bucket, prefix = split(uri)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            key = entry["Key"]
            # Consoles write such a key for an empty folder.
            if not key.endswith("/"):
                yield StoredObject(bucket, key, key[len(prefix) :].lstrip("/") or key.rsplit("/", 1)[-1])


def _listed_in_manifest(s3: Any, uri: str) -> Iterator[StoredObject]:
    bucket, key = split(uri)
    try:
        first, *names = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        data_bucket, prefix = split(first["prefix"])
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f'The manifest {uri} is not a list that begins with {{"prefix": ...}}.') from error
    for name in names:
        yield StoredObject(data_bucket, prefix + str(name), str(name).lstrip("/"))


def upload_archive(s3: Any, folder: Path, uri: str) -> None:
    """Upload the content of `folder` as one tar.gz."""
    archive = folder.with_name(f".{folder.name}.tar.gz")
    with tarfile.open(archive, "w:gz") as tar:
        for item in sorted(folder.iterdir()) if folder.exists() else []:
            tar.add(item, item.name)
    bucket, key = split(uri)
    s3.upload_file(str(archive), bucket, key, Config=TRANSFER)
    archive.unlink()


class Mirror:
    """Keeps a prefix in S3 equal to a folder: `upload` uploads what has changed since the last time."""

    def __init__(self, s3: Any, folder: Path, uri: str) -> None:
        self._s3, self._folder, self._uri = s3, folder, uri.rstrip("/")
        # File -> modification time and size when it was last the same in S3.
        self._mirrored: dict[Path, tuple[int, int]] = {}

    def upload(self) -> None:
        """Upload new and changed files; those that begin with "." or end with ".part" are not finished yet."""
        bucket, prefix = split(self._uri)
        for file in sorted(self._folder.rglob("*")):
            if not file.is_file() or file.name.startswith(".") or file.suffix == ".part":
                continue
            # The program may delete the file meanwhile.
            with contextlib.suppress(FileNotFoundError):
                state = _state(file)
                if self._mirrored.get(file) != state:
                    name = file.relative_to(self._folder).as_posix()
                    self._s3.upload_file(
                        str(file), bucket, f"{prefix}/{name}" if prefix else name, Config=TRANSFER
                    )
                    self._mirrored[file] = state

    def download(self, cancelled: threading.Event) -> None:
        """Download what exists under the prefix; `upload` does not upload it again.

        Raises:
            CancelledError: If the download was cancelled.
        """
        try:
            download(self._s3, self._uri + "/", self._folder, cancelled)
        except StorageError:
            return
        for file in self._folder.rglob("*"):
            if file.is_file():
                self._mirrored[file] = _state(file)


def _state(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size

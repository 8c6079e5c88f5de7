"""What a job fetches from S3 and leaves there."""

import contextlib
import json
import shutil
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from contract import s3 as s3_uris

_AT_ONCE = 16


class StorageError(Exception):
    """S3 does not hold what was asked for; the message is a FailureReason."""


class CancelledError(Exception):
    """The job was stopped while it fetched its input."""


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI. Raises StorageError."""
    try:
        return s3_uris.split(uri)
    except ValueError as error:
        raise StorageError(str(error)) from error


def download(s3: Any, uri: str, folder: Path, cancelled: threading.Event, kind: str = "S3Prefix") -> int:
    """Fetch every object under a prefix (or named by a manifest file) into `folder`; how many there were.

    Their names are relative to the prefix; a prefix that is one object's whole key keeps its last part.
    Raises StorageError when there is none, CancelledError once `cancelled` is set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = list(_manifest(s3, uri) if kind == "ManifestFile" else _objects(s3, uri))
    if not found:
        raise StorageError(_none_found(uri))

    def fetch(item: tuple[str, str, str]) -> None:
        if cancelled.is_set():
            return
        bucket, key, name = item
        target = folder / name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise StorageError(f"The object s3://{bucket}/{key} has a name that leads out of its folder.")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.part")
        with temporary.open("wb") as file:
            shutil.copyfileobj(s3.get_object(Bucket=bucket, Key=key)["Body"], file, 1 << 20)
        temporary.replace(target)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(fetch, found))
    if cancelled.is_set():
        raise CancelledError
    return len(found)


def check(s3: Any, uri: str, role: str) -> None:
    """Raises StorageError unless something lies under `uri` and the role may see it."""
    bucket, key = split(uri)
    try:
        if s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents"):
            return
    except ClientError as error:
        raise StorageError(f"{_none_found(uri, role)} Error message from S3: {error}") from error
    raise StorageError(_none_found(uri, role))


def _none_found(uri: str, role: str = "") -> str:
    return (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
        "exists in the selected region, that objects exist under that S3 prefix, and that the role "
        f'"{role}" has "s3:ListBucket" permissions on bucket "{split(uri)[0]}".'
    )


def _objects(s3: Any, uri: str) -> Iterator[tuple[str, str, str]]:
    bucket, prefix = split(uri)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            key = found["Key"]
            if not key.endswith("/"):  # what consoles write for an empty folder
                yield bucket, key, key[len(prefix) :].lstrip("/") or key.rsplit("/", 1)[-1]


def _manifest(s3: Any, uri: str) -> Iterator[tuple[str, str, str]]:
    bucket, key = split(uri)
    try:
        first, *names = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        at, prefix = split(first["prefix"])
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f'The manifest {uri} is not a list that begins with {{"prefix": ...}}.') from error
    for name in names:
        yield at, prefix + str(name), str(name).lstrip("/")


def pack(s3: Any, folder: Path, uri: str) -> None:
    """Upload the content of `folder` as one tar.gz."""
    archive = folder.with_name(f".{folder.name}.tar.gz")
    with tarfile.open(archive, "w:gz") as tar:
        for item in sorted(folder.iterdir()) if folder.exists() else []:
            tar.add(item, item.name)
    bucket, key = split(uri)
    s3.upload_file(str(archive), bucket, key)
    archive.unlink()


class Mirror:
    """Keeps a prefix in S3 like a folder: `up` uploads what has changed since the last time."""

    def __init__(self, s3: Any, folder: Path, uri: str) -> None:
        self._s3, self._folder, self._uri = s3, folder, uri.rstrip("/")
        self._seen: dict[Path, tuple[int, int]] = {}

    def up(self) -> None:
        """Files that begin with "." or end with ".part" are not finished, and not for others."""
        bucket, prefix = split(self._uri)
        for file in sorted(self._folder.rglob("*")):
            if not file.is_file() or file.name.startswith(".") or file.suffix == ".part":
                continue
            with contextlib.suppress(FileNotFoundError):  # the program took it away meanwhile
                about = file.stat()
                state = (about.st_mtime_ns, about.st_size)
                if self._seen.get(file) != state:
                    name = file.relative_to(self._folder).as_posix()
                    self._s3.upload_file(str(file), bucket, f"{prefix}/{name}" if prefix else name)
                    self._seen[file] = state

    def down(self, cancelled: threading.Event) -> None:
        """Fetch what is there, if anything; what came from there need not go up again."""
        try:
            download(self._s3, self._uri + "/", self._folder, cancelled)
        except StorageError:
            return
        for file in self._folder.rglob("*"):
            if file.is_file():
                self._seen[file] = (file.stat().st_mtime_ns, file.stat().st_size)

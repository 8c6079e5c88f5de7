"""The files of a data set in S3: listed once, read by name. The endpoint comes from the usual AWS settings."""

from __future__ import annotations

import io
import os
import threading
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, cast

from botocore.exceptions import BotoCoreError, ClientError

import contract.s3
from training.datasets import bounds
from training.datasets.problems import DatasetError
from training.datasets.storage.files import Files
from training.datasets.storage.names import is_hidden

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# A GET waits for the network, not for a core.
THREADS = 16
_BLOCK_BYTES = 8 * 1024**2
_lock = threading.Lock()
_clients: dict[int, S3Client] = {}


def client() -> S3Client:
    """Return this process's client: connections must not be shared across a fork."""
    # boto3 takes 0.3 s to import, and most sources are local.
    import boto3
    from botocore.config import Config

    with _lock:
        if os.getpid() not in _clients:
            _clients.clear()
            config = Config(max_pool_connections=THREADS, retries={"mode": "standard", "max_attempts": 5})
            _clients[os.getpid()] = boto3.client("s3", config=config)
        return _clients[os.getpid()]


def read(uri: str, start: int | None = None, end: int | None = None) -> bytes:
    """Return the bytes of an object.

    Args:
        uri: The object's S3 URI.
        start: The first byte to read; the whole object is read unless `start` and `end` are given.
        end: The byte after the last one to read.

    Raises:
        DatasetError: S3 does not return the object, or `uri` is not an S3 URI.
    """
    bucket, key = _split(uri)
    try:
        if start is None or end is None:
            found = client().get_object(Bucket=bucket, Key=key)
            if found["ContentLength"] > bounds.FILE_BYTES:
                raise DatasetError(
                    uri,
                    f"has more than {bounds.FILE_BYTES >> 20} MiB: it is no image, and too long for labels",
                )
            return found["Body"].read()
        return client().get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}")["Body"].read()
    except (ClientError, BotoCoreError) as error:
        raise DatasetError(uri, f"cannot be read: {error}") from error


def write(uri: str, data: bytes, content_type: str = "binary/octet-stream") -> None:
    """Put one object. The default content type is S3's own default.

    Raises:
        DatasetError: S3 refuses the object, or `uri` is not an S3 URI.
    """
    bucket, key = _split(uri)
    try:
        client().put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type)
    except (ClientError, BotoCoreError) as error:
        raise DatasetError(uri, f"cannot be written: {error}") from error


def list_objects(uri: str) -> list[str]:
    """Return the URI of every object under a prefix.

    Raises:
        DatasetError: S3 does not list the prefix, or `uri` is not an S3 URI.
    """
    return [name for name, _ in _entries(uri)]


def newest_first(uri: str) -> list[str]:
    """Return the URI of every object under a prefix, the newest first.

    Raises:
        DatasetError: S3 does not list the prefix, or `uri` is not an S3 URI.
    """
    entries = sorted(_entries(uri), key=lambda entry: (entry[1], entry[0]), reverse=True)
    return [name for name, _ in entries]


def _entries(uri: str) -> list[tuple[str, datetime]]:
    """Return the URI of every object under a prefix, and when it was written."""
    bucket, prefix = _split(uri)
    entries: list[tuple[str, datetime]] = []
    try:
        for page in client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            entries += [
                (contract.s3.join(bucket, item["Key"]), item["LastModified"])
                for item in page.get("Contents", [])
            ]
    except (ClientError, BotoCoreError) as error:
        raise DatasetError(uri, f"cannot be listed: {error}") from error
    return entries


def open_object(uri: str) -> BinaryIO:
    """Return an object as a buffered stream that can seek.

    Raises:
        DatasetError: S3 does not return the object, or `uri` is not an S3 URI.
    """
    bucket, key = _split(uri)
    try:
        size = client().head_object(Bucket=bucket, Key=key)["ContentLength"]
    except (ClientError, BotoCoreError) as error:
        raise DatasetError(uri, f"cannot be read: {error}") from error
    return cast(BinaryIO, io.BufferedReader(_ObjectStream(uri, size), _BLOCK_BYTES))


class Bucket(Files):
    """The objects under a prefix."""

    threads = THREADS

    def __init__(self, folder: str, chosen: str | None = None) -> None:
        """Take the prefix; nothing is requested yet.

        Args:
            folder: The prefix as an S3 URI, with or without the last slash.
            chosen: The one object that the user named.

        Raises:
            DatasetError: `folder` is not an S3 URI.
        """
        bucket, prefix = _split(folder)
        self._root = contract.s3.join(bucket, prefix.rstrip("/") + "/" if prefix else "")
        self.chosen = chosen

    @cached_property
    def _names(self) -> tuple[str, ...]:
        names = (uri.removeprefix(self._root) for uri in list_objects(self._root) if not uri.endswith("/"))
        return tuple(sorted(name for name in names if not is_hidden(name)))

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return self._names

    @cached_property
    def _listed(self) -> frozenset[str]:
        return frozenset(self._names)

    def matching(self, reference: str, near: str = "", hint: str = "") -> list[str]:
        if not reference.startswith("s3://"):
            return super().matching(reference, near, hint)
        if self.chosen is not None:
            # A manifest in S3 gives the URIs of its images, so there is nothing to search for.
            return [reference]
        name = reference.removeprefix(self._root)
        if reference != name and name in self._listed:
            return [name]
        # A copy of a bucket still has the URIs of the first one in its manifests.
        return super().matching(reference, near, hint) or [reference]

    def uri(self, name: str) -> str:
        return name if name.startswith("s3://") else f"{self._root}{name}"

    def read(self, name: str) -> bytes:
        return read(self.uri(name))

    def peek(self, name: str, size: int) -> bytes:
        try:
            return read(self.uri(name), 0, size)
        except DatasetError as error:
            # S3 refuses a range in an empty object.
            if "InvalidRange" in str(error):
                return b""
            raise

    def open(self, name: str) -> BinaryIO:
        return open_object(self.uri(name))


class _ObjectStream(io.RawIOBase):
    """An object in S3 as a stream that can seek: every read is one request."""

    def __init__(self, uri: str, size: int) -> None:
        self._uri, self._size, self._position = uri, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        data = read(self._uri, self._position, end)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _split(uri: str) -> tuple[str, str]:
    try:
        return contract.s3.split(uri)
    except ValueError as error:
        raise DatasetError(uri, "is not an s3://bucket/key URI") from error

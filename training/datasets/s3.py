"""The files of a dataset in S3: listed once, read by name. The endpoint comes from the ordinary AWS settings."""

from __future__ import annotations

import io
import os
import threading
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import contract.s3
from training.datasets.files import ANNOTATION_SUFFIXES, Files, Zip, is_hidden
from training.datasets.problems import DatasetError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

THREADS = 16  # a GET waits for the network, not for a core
_BLOCK = 8 * 1024**2
_lock = threading.Lock()
_clients: dict[int, S3Client] = {}


def client() -> S3Client:
    """This process's client: connections must not cross a fork."""
    with _lock:
        if os.getpid() not in _clients:
            _clients.clear()
            config = Config(max_pool_connections=THREADS, retries={"mode": "standard", "max_attempts": 5})
            _clients[os.getpid()] = boto3.client("s3", config=config)
        return _clients[os.getpid()]


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://bucket/key` URI. Raises DatasetError."""
    try:
        return contract.s3.split(uri)
    except ValueError as error:
        raise DatasetError(uri, "is no s3://bucket/key") from error


def read(uri: str, start: int | None = None, end: int | None = None) -> bytes:
    """The object's bytes, or those from `start` up to `end`. Raises DatasetError."""
    bucket, key = split(uri)
    try:
        if start is None or end is None:
            return client().get_object(Bucket=bucket, Key=key)["Body"].read()
        return client().get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}")["Body"].read()
    except (ClientError, BotoCoreError) as error:
        raise DatasetError(uri, f"cannot be read: {error}") from error


def write(uri: str, data: bytes, content_type: str = "binary/octet-stream") -> None:
    """Puts one object; the default type is S3's own. Raises DatasetError."""
    bucket, key = split(uri)
    try:
        client().put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type)
    except (ClientError, BotoCoreError) as error:
        raise DatasetError(uri, f"cannot be written: {error}") from error


def listing(uri: str) -> dict[str, int]:
    """Key → size in bytes of every object under a prefix. Raises DatasetError."""
    bucket, prefix = split(uri)
    found: dict[str, int] = {}
    try:
        for page in client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            found |= {item["Key"]: item["Size"] for item in page.get("Contents", [])}
    except (ClientError, BotoCoreError) as error:
        raise DatasetError(uri, f"cannot be listed: {error}") from error
    return found


class Bucket(Files):
    """The objects under a prefix; with `chosen`, one of them was meant."""

    threads = THREADS

    def __init__(self, folder: str, chosen: str | None = None) -> None:
        self._bucket, self._prefix = split(folder)
        self._prefix = self._prefix.rstrip("/") + "/" if self._prefix else ""
        self.chosen = chosen

    @cached_property
    def _sizes(self) -> dict[str, int]:
        whole = listing(f"s3://{self._bucket}/{self._prefix}")
        names = {key.removeprefix(self._prefix): size for key, size in whole.items() if not key.endswith("/")}
        return {name: names[name] for name in sorted(names) if not is_hidden(name)}

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self._sizes)

    def matching(self, reference: str) -> list[str]:
        # A manifest in S3 says where its images are: nothing to search for.
        return [reference] if reference.startswith("s3://") else super().matching(reference)

    def uri(self, name: str) -> str:
        return name if name.startswith("s3://") else f"s3://{self._bucket}/{self._prefix}{name}"

    def read(self, name: str) -> bytes:
        return read(self.uri(name))

    def open(self, name: str) -> BinaryIO:
        return open_object(self.uri(name))


class _Object(io.RawIOBase):
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


def open_object(uri: str) -> BinaryIO:
    """An object as a buffered stream that can seek. Raises DatasetError."""
    bucket, key = split(uri)
    try:
        size = client().head_object(Bucket=bucket, Key=key)["ContentLength"]
    except (ClientError, BotoCoreError) as error:
        raise DatasetError(uri, f"cannot be read: {error}") from error
    return cast(BinaryIO, io.BufferedReader(_Object(uri, size), _BLOCK))


def open_prefix(uri: str) -> Files:
    """What lies under `uri`: a prefix, a zip, or a single annotation file. Raises DatasetError."""
    if uri.lower().endswith(".zip"):
        return Zip(uri, open_object(uri))
    if uri.lower().endswith(ANNOTATION_SUFFIXES):
        folder, _, name = uri.rpartition("/")
        return Bucket(folder, name)
    files = Bucket(uri)
    if len(files.names) == 1 and files.names[0].lower().endswith(".zip"):
        return open_prefix(files.uri(files.names[0]))
    if not files.names:
        raise DatasetError(uri, "holds no object")
    return files

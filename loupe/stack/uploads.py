"""Bring images to the stack, and follow them to their verdicts."""

from __future__ import annotations

import mimetypes
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from contract.images import SUFFIXES
from contract.keys import incoming
from loupe.errors import LoupeError
from loupe.stack.inspections import Inspection, plain
from loupe.stack.target import Target

# A GIF cannot be inspected; it goes up all the same, so that its record says so.
IMAGE_SUFFIXES = frozenset({*SUFFIXES, ".gif"})
_MAX_ZIP_MEMBER = 1 << 30
_UPLOADS_AT_ONCE = 8
_BATCH_GET_LIMIT = 100  # DynamoDB's own


@dataclass(frozen=True)
class Source:
    """One image to drop: the key it goes to, and where its bytes come from."""

    key: str
    read: Callable[[], bytes]
    origin: str


@dataclass(frozen=True)
class Dropped:
    """One uploaded image version, and when its upload had ended (epoch seconds)."""

    origin: str
    image: str
    version_id: str
    at: float


def _key(relative: PurePosixPath, line: str | None, station: str | None) -> str:
    """`incoming/<line>/<station>/<serial>`: by the options, else by the last two folders, else unknown."""
    folders = [part for part in relative.parts[:-1] if part not in ("..", "/")]
    if line is None and station is None and len(folders) >= 2:
        line, station = folders[-2], folders[-1]
    return incoming(line, station, relative.name)


def _from_zip(path: Path) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
    archive = zipfile.ZipFile(path)  # stays open for the readers, which may read side by side
    for member in archive.infolist():
        if member.is_dir():
            continue
        if member.file_size > _MAX_ZIP_MEMBER:
            raise LoupeError(f"{path}: {member.filename} unpacks to over 1 GiB", "Unpack the zip yourself.")
        yield PurePosixPath(path.stem, member.filename), partial(archive.read, member)


def _files(path: Path) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield PurePosixPath(path.resolve().name, *file.relative_to(path).parts), file.read_bytes
    elif zipfile.is_zipfile(path):
        yield from _from_zip(path)
    elif path.is_file():
        yield PurePosixPath(path.name), path.read_bytes
    else:
        raise LoupeError(f"{path} does not exist", "Name image files, folders, or a zip.")


def find_images(paths: list[Path], line: str | None, station: str | None) -> tuple[list[Source], int]:
    """The images in files, folders and zips.

    Returns:
        The images, and how many files were passed over because their suffix is no image's.

    Raises:
        LoupeError: a path does not exist, or there is no image in any of them.
    """
    sources, passed_over = [], 0
    for path in paths:
        for relative, read in _files(path):
            if relative.suffix.lower() in IMAGE_SUFFIXES:
                sources.append(Source(_key(relative, line, station), read, str(relative)))
            else:
                passed_over += 1
    if not sources:
        raise LoupeError(
            f"no image in {', '.join(map(str, paths))} ({passed_over} other files)",
            f"Images end in {', '.join(sorted(IMAGE_SUFFIXES))}.",
        )
    return sources, passed_over


def upload(target: Target, sources: list[Source], on_done: Callable[[Dropped], None]) -> list[Dropped]:
    """Put every image into the images bucket, several at once; the bytes of a few are in memory at a time."""
    bucket = target.output("ImagesBucketName")
    client = target.s3

    def put(source: Source) -> Dropped:
        kind = mimetypes.guess_type(source.key)[0] or "application/octet-stream"
        reply = client.put_object(
            Bucket=bucket,
            Key=source.key,
            Body=source.read(),
            ContentType=kind,
            Metadata={"captured-at": datetime.now(UTC).isoformat(timespec="milliseconds")},
        )
        dropped = Dropped(
            source.origin, f"s3://{bucket}/{source.key}", reply.get("VersionId", "null"), time.time()
        )
        on_done(dropped)
        return dropped

    with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
        return list(pool.map(put, sources))


def follow(
    target: Target,
    dropped: list[Dropped],
    on_record: Callable[[Inspection], None],
    patience: float = 120.0,
    poll_every: float = 0.25,
) -> dict[tuple[str, str], Inspection]:
    """Wait for the record of each image version.

    Args:
        patience: give up after so many seconds in which no record has come.

    Returns:
        The records by (image, version id); what is missing has none yet.
    """
    table = target.output("InspectionsTableName")
    waiting = {(item.image, item.version_id) for item in dropped}
    found: dict[tuple[str, str], Inspection] = {}
    last_news = time.monotonic()
    while waiting and time.monotonic() - last_news < patience:
        sweep_began = time.monotonic()
        batch = sorted(waiting)
        for start in range(0, len(batch), _BATCH_GET_LIMIT):
            keys = [{"image": i, "version_id": v} for i, v in batch[start : start + _BATCH_GET_LIMIT]]
            reply: Any = target.dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})
            for item in reply["Responses"].get(table, []):
                record = plain(item)
                identity = (record["image"], record["version_id"])
                waiting.discard(identity)
                found[identity] = record
                last_news = time.monotonic()
                on_record(record)
        if waiting:
            # A long backlog makes a sweep dear: spend no more time on asking than on leaving the table alone.
            time.sleep(max(poll_every, time.monotonic() - sweep_began))
    return found

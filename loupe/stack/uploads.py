"""Upload images to the stack, and follow them to their verdicts."""

from __future__ import annotations

import mimetypes
import posixpath
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
from contract.s3 import join
from contract.text import plain
from loupe.errors import LoupeError
from loupe.stack.inspections import Inspection, to_json_types
from loupe.stack.target import Target
from loupe.stack.waiting import Cause, why_waiting

# A GIF cannot be inspected. It is uploaded all the same, and its record gives the reason.
IMAGE_SUFFIXES = frozenset({*SUFFIXES, ".gif"})
_MAX_ZIP_MEMBER_BYTES = 1 << 30
_PARALLEL_UPLOADS = 8
# Without a new record for so long, a person is told why, and again if the cause changes.
_SECONDS_UNTIL_CAUSE = 5.0
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_BATCH_GET_LIMIT = 100

# An image version's identity: the image's S3 URI and its version id.
Identity = tuple[str, str]


@dataclass(frozen=True)
class Source:
    """An image to upload.

    Attributes:
        key: The key that it is uploaded to.
        read: Returns its bytes.
        origin: Its path, for people.
    """

    key: str
    read: Callable[[], bytes]
    origin: str


@dataclass(frozen=True)
class Upload:
    """An uploaded image version.

    Attributes:
        origin: As in Source.
        image: The S3 URI.
        version_id: S3's version of the object.
        uploaded_at: When the upload ended, in seconds since the epoch.
    """

    origin: str
    image: str
    version_id: str
    uploaded_at: float

    @property
    def identity(self) -> Identity:
        """The key under which `follow` returns its record."""
        return self.image, self.version_id


def find_images(paths: list[Path], line: str | None, station: str | None) -> tuple[list[Source], int]:
    """Find the images in files, folders and zips.

    An image's line and station are the two folders that it is in, .../LINE/STATION/IMAGE, in the path as it is given
    or in the zip. `line` and `station` replace them.

    Args:
        paths: Where to look.
        line: For all images.
        station: For all images.

    Returns:
        The images, and how many files were skipped because their suffix is not an image's.

    Raises:
        LoupeError: A path does not exist, none of them has an image, a zip contains a huge file, an image has no line
            or station, or one of the two cannot be a part of a key.
    """
    _check_name("line", line)
    _check_name("station", station)
    sources, homeless, skipped = [], [], 0
    for path in paths:
        for relative, read in _files(path):
            if relative.suffix.lower() not in IMAGE_SUFFIXES:
                skipped += 1
            elif key := _key(relative, line, station):
                sources.append(Source(key, read, str(relative)))
            else:
                homeless.append(str(relative))
    if homeless:
        raise LoupeError(
            f"{_some(homeless)}: no line and station, because the path has fewer than two folders",
            "Add --line NAME and --station NAME, or give a path such as line-1/top/4711.jpg.",
        )
    if not sources:
        raise LoupeError(
            f"there is no image in {', '.join(map(str, paths))} ({skipped} other files)",
            f"Image files end in {', '.join(sorted(IMAGE_SUFFIXES))}.",
        )
    return sources, skipped


def _check_name(option: str, name: str | None) -> None:
    if name is None:
        return
    if not name.strip() or name in (".", "..") or "/" in name or plain(name) != name:
        raise LoupeError(
            f"--{option} {name!r} cannot be the name of a {option}",
            "A name has at least one character, and no slash and no control character.",
        )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _files(path: Path) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
    """Yield each file's path, as it was given or in its zip, and a function that reads it."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield PurePosixPath(file), file.read_bytes
    elif zipfile.is_zipfile(path):
        yield from _zip_members(path)
    elif path.is_file():
        yield PurePosixPath(path), path.read_bytes
    else:
        raise LoupeError(f"{path} does not exist", "Name image files, folders, or a zip.")


def _zip_members(path: Path) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
    # It stays open for the returned functions, which may read in parallel.
    archive = zipfile.ZipFile(path)
    for member in archive.infolist():
        if member.is_dir():
            continue
        if member.file_size > _MAX_ZIP_MEMBER_BYTES:
            raise LoupeError(f"{path}: {member.filename} unpacks to over 1 GiB", "Unpack the zip yourself.")
        yield PurePosixPath(member.filename), partial(archive.read, member)


def _key(relative: PurePosixPath, line: str | None, station: str | None) -> str | None:
    """Return the image's key, or None if neither options nor folders give line and station."""
    folders = [
        part for part in PurePosixPath(posixpath.normpath(relative)).parts[:-1] if part not in ("..", "/")
    ]
    if line is None and len(folders) >= 2:
        line = folders[-2]
    if station is None and folders:
        station = folders[-1]
    return incoming(line, station, relative.name) if line and station else None


def upload(target: Target, sources: list[Source], on_upload: Callable[[Upload], None]) -> list[Upload]:
    """Put every image into the images bucket, several in parallel; only their bytes are in memory at a time.

    Args:
        target: The stack.
        sources: The images.
        on_upload: Receives each image when its upload has ended.
    """
    bucket, client = target.output("ImagesBucketName"), target.s3

    def put(source: Source) -> Upload:
        reply = client.put_object(
            Bucket=bucket,
            Key=source.key,
            Body=source.read(),
            ContentType=mimetypes.guess_type(source.key)[0] or "application/octet-stream",
            Metadata={"captured-at": datetime.now(UTC).isoformat(timespec="milliseconds")},
        )
        image, version_id = join(bucket, source.key), reply.get("VersionId", "null")
        uploaded = Upload(source.origin, image, version_id, time.time())
        on_upload(uploaded)
        return uploaded

    pool = ThreadPoolExecutor(_PARALLEL_UPLOADS)
    try:
        return list(pool.map(put, sources))
    finally:
        # After an error or Ctrl+C, what has not begun is not uploaded.
        pool.shutdown(cancel_futures=True)


def follow(
    target: Target,
    uploads: list[Upload],
    on_record: Callable[[Inspection], None],
    patience: float = 120.0,
    poll_every: float = 0.25,
    on_wait: Callable[[Cause], None] | None = None,
) -> dict[Identity, Inspection]:
    """Wait until each image version has its record.

    Args:
        target: The stack.
        uploads: The image versions.
        on_record: Receives each record once.
        patience: How many seconds without a new record to wait for the rest.
        poll_every: Seconds between two reads of the table.
        on_wait: Receives the cause, each time that it is another one, while no record comes.

    Returns:
        The records. An image version without a record is missing.
    """
    waiting = {upload.identity for upload in uploads}
    records: dict[Identity, Inspection] = {}
    last_record = time.monotonic()
    looked, cause = last_record, None
    while waiting and time.monotonic() - last_record < patience:
        sweep_began = time.monotonic()
        for record in _read_records(target, sorted(waiting)):
            identity = (record["image"], record["version_id"])
            waiting.discard(identity)
            records[identity] = record
            last_record = looked = time.monotonic()
            on_record(record)
        if waiting and on_wait and time.monotonic() - looked > _SECONDS_UNTIL_CAUSE:
            newest, looked = (
                why_waiting(target, min(upload.uploaded_at for upload in uploads)),
                time.monotonic(),
            )
            if newest and newest != cause:
                cause = newest
                on_wait(cause)
        if waiting:
            # Reading the table for a long backlog takes long: pause for at least as long as it took.
            time.sleep(max(poll_every, time.monotonic() - sweep_began))
    return records


def _read_records(target: Target, identities: list[Identity]) -> Iterator[Inspection]:
    """Yield the records that exist."""
    table = target.output("InspectionsTableName")
    for start in range(0, len(identities), _BATCH_GET_LIMIT):
        batch = identities[start : start + _BATCH_GET_LIMIT]
        keys = [{"image": image, "version_id": version_id} for image, version_id in batch]
        reply: Any = target.dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})
        yield from map(to_json_types, reply["Responses"].get(table, []))

"""Upload images to the stack, and follow them to their verdicts."""

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
from contract.s3 import join
from loupe.errors import LoupeError
from loupe.stack.inspections import Inspection, to_json_types
from loupe.stack.target import Target

# A GIF cannot be inspected. It is uploaded all the same, and its record gives the reason.
IMAGE_SUFFIXES = frozenset({*SUFFIXES, ".gif"})
_MAX_ZIP_MEMBER_BYTES = 1 << 30
_PARALLEL_UPLOADS = 8
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

    Args:
        paths: Where to look.
        line: For all images; without line and station an image's last two folders give both.
        station: As `line`.

    Returns:
        The images, and how many files were skipped because their suffix is not an image's.

    Raises:
        LoupeError: A path does not exist, none of them has an image, or a zip contains a huge file.
    """
    sources, skipped = [], 0
    for path in paths:
        for relative, read in _files(path):
            if relative.suffix.lower() in IMAGE_SUFFIXES:
                sources.append(Source(_key(relative, line, station), read, str(relative)))
            else:
                skipped += 1
    if not sources:
        raise LoupeError(
            f"there is no image in {', '.join(map(str, paths))} ({skipped} other files)",
            f"Image files end in {', '.join(sorted(IMAGE_SUFFIXES))}.",
        )
    return sources, skipped


def _files(path: Path) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
    """Yield each file's path within its folder or zip, and a function that reads it."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield PurePosixPath(path.resolve().name, *file.relative_to(path).parts), file.read_bytes
    elif zipfile.is_zipfile(path):
        yield from _zip_members(path)
    elif path.is_file():
        yield PurePosixPath(path.name), path.read_bytes
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
        yield PurePosixPath(path.stem, member.filename), partial(archive.read, member)


def _key(relative: PurePosixPath, line: str | None, station: str | None) -> str:
    """Return the image's key; line and station are the options', else the last two folders, else unknown."""
    folders = [part for part in relative.parts[:-1] if part not in ("..", "/")]
    if line is None and station is None and len(folders) >= 2:
        line, station = folders[-2], folders[-1]
    return incoming(line, station, relative.name)


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

    with ThreadPoolExecutor(_PARALLEL_UPLOADS) as pool:
        return list(pool.map(put, sources))


def follow(
    target: Target,
    uploads: list[Upload],
    on_record: Callable[[Inspection], None],
    patience: float = 120.0,
    poll_every: float = 0.25,
) -> dict[Identity, Inspection]:
    """Wait until each image version has its record.

    Args:
        target: The stack.
        uploads: The image versions.
        on_record: Receives each record once.
        patience: How many seconds without a new record to wait for the rest.
        poll_every: Seconds between two reads of the table.

    Returns:
        The records. An image version without a record is missing.
    """
    waiting = {upload.identity for upload in uploads}
    records: dict[Identity, Inspection] = {}
    last_record = time.monotonic()
    while waiting and time.monotonic() - last_record < patience:
        sweep_began = time.monotonic()
        for record in _read_records(target, sorted(waiting)):
            identity = (record["image"], record["version_id"])
            waiting.discard(identity)
            records[identity] = record
            last_record = time.monotonic()
            on_record(record)
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

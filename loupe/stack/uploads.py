"""Upload images to the stack, and follow them to their verdicts."""

from __future__ import annotations

import mimetypes
import posixpath
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from contract.keys import incoming
from contract.s3 import join
from contract.text import listed, plain
from loupe.errors import LoupeError
from loupe.stack import zips
from loupe.stack.inspections import Inspection, to_json_types
from loupe.stack.skipped import IMAGE_SUFFIXES, Skipped, kind_of
from loupe.stack.target import Target
from loupe.stack.waiting import Cause, why_waiting

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


@dataclass(frozen=True)
class _File:
    """A file that was found.

    Attributes:
        path: As it was given, or in its zip.
        below: The part of `path` that was not given by name.
        read: Returns its bytes.
        check: Raises LoupeError if it cannot be read.
    """

    path: PurePosixPath
    below: PurePosixPath
    read: Callable[[], bytes]
    check: Callable[[], None] = lambda: None


def find_images(
    paths: list[Path], line: str | None, station: str | None, code_page: str | None = None
) -> tuple[list[Source], Skipped]:
    """Find the images in files, folders and zips.

    An image's line and station are the two folders that it is in, .../LINE/STATION/IMAGE, in the path as it is given
    or in the zip. `line` and `station` replace them.

    Args:
        paths: Where to look.
        line: For all images.
        station: For all images.
        code_page: Of the names in zips that do not state it.

    Returns:
        The images, and which files were skipped because they are no picture of a product.

    Raises:
        LoupeError: A path does not exist, none of them has an image, a zip cannot be read, an image has no line or
            station, or one of the two cannot be a part of a key.
    """
    check_name("line", line)
    check_name("station", station)
    sources, homeless = list[Source](), list[str]()
    skipped: Counter[tuple[str, str]] = Counter()
    for file in (file for path in paths for file in _files(path, code_page)):
        if kind := kind_of(file.path, file.below):
            skipped[kind, file.path.suffix.lower()] += 1
            continue
        file.check()
        if key := _key(file.path, line, station):
            sources.append(Source(key, file.read, str(file.path)))
        else:
            homeless.append(str(file.path))
    if homeless:
        raise LoupeError(
            f"{listed(homeless, 3)}: no line and station, because the path has fewer than two folders",
            "Add --line NAME and --station NAME, or give a path such as line-1/top/4711.jpg.",
        )
    if not sources:
        others = Skipped(skipped).sentence() or "it is empty"
        raise LoupeError(
            f"there is no image in {', '.join(map(str, paths))} ({others})",
            f"Image files end in {', '.join(sorted(IMAGE_SUFFIXES))}.",
        )
    return sources, Skipped(skipped)


def check_name(option: str, name: str | None) -> None:
    """Check that a name can be a part of a key.

    Args:
        option: The option that gives it, without its hyphens.
        name: The name; None if the option was not given.

    Raises:
        LoupeError: It cannot.
    """
    if name is None:
        return
    if not name.strip() or name in (".", "..") or "/" in name or plain(name) != name:
        raise LoupeError(
            f"--{option} {name!r} cannot be the name of a {option}",
            "A name has at least one character, and no slash and no control character.",
        )


def _files(path: Path, code_page: str | None) -> Iterator[_File]:
    """Yield the file, or the files of the folder or the zip."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield _File(PurePosixPath(file), PurePosixPath(file.relative_to(path)), file.read_bytes)
    elif zips.is_zip(path):
        for member in zips.members(path, code_page):
            yield _File(member.path, member.path, member.read, member.check)
    elif path.is_file():
        yield _File(PurePosixPath(path), PurePosixPath(), path.read_bytes)
    else:
        raise LoupeError(f"{path} does not exist", "Name image files, folders, or a zip.")


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

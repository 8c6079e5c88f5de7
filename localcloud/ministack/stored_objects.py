"""Changes to MiniStack's S3: what it acknowledges is on disk, and is announced only then.

MiniStack writes an object to disk at the end of an upload, logs a failure, and answers 200 all the same: on a full disk
the upload is lost at the next start. It announces the object before it is on disk. Here a failure undoes the upload,
which is answered as S3 answers what a client should try again; and the events are sent last.
"""

from __future__ import annotations

import contextvars
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ministack.services import s3

from localcloud.home.space import Space

logger = logging.getLogger(__name__)


@dataclass
class _Request:
    """What a request has done so far.

    Attributes:
        error: Why something could not be written; None if everything was.
        former: The objects and versions of each key as they were, by bucket and key.
        events: Sends each event of the request.
    """

    error: OSError | None = None
    former: dict[tuple[str, str], tuple[Any, list[dict[str, Any]]]] = field(default_factory=dict)
    events: list[Callable[[], None]] = field(default_factory=list)

    def remember(self, bucket: str, key: str, stored: Any) -> None:
        """Remember a key as it is before its next version. stored: its present object; None if there is none."""
        versions = [dict(version) for version in s3._object_versions.get((bucket, key)) or []]
        self.former.setdefault((bucket, key), (stored, versions))

    def undo(self) -> None:
        """Bring back what was remembered."""
        for (bucket, key), (stored, versions) in self.former.items():
            objects = s3._buckets[bucket]["objects"]
            if stored is None:
                objects.pop(key, None)
            else:
                objects[key] = stored
            if versions:
                s3._object_versions[bucket, key] = versions
            else:
                s3._object_versions.pop((bucket, key), None)


# That of the request which this thread answers; None for what the cloud does itself.
_current: contextvars.ContextVar[_Request | None] = contextvars.ContextVar("s3_request", default=None)


def apply(space: Space) -> None:
    """Patch MiniStack.

    Args:
        space: Is told of files that could not be written.
    """
    _refuse_what_is_not_written(space)
    _remember_former_versions()
    _note_failed_writes(space)
    s3._persist_object = _keep_bodies_on_disk(space)


def _refuse_what_is_not_written(space: Space) -> None:
    dispatch, fire = s3._dispatch, s3._fire_s3_event_async

    def dispatch_and_check(*arguments: Any) -> Any:
        request = _Request()
        token = _current.set(request)
        try:
            answer = dispatch(*arguments)
        finally:
            _current.reset(token)
        if request.error is not None:
            request.undo()
            return s3._error("ServiceUnavailable", space.failed(request.error), 503)
        for send in request.events:
            send()
        return answer

    def fire_at_the_end(*arguments: Any, **options: Any) -> None:
        request = _current.get()
        if request is None:
            fire(*arguments, **options)
        else:
            request.events.append(lambda: fire(*arguments, **options))

    s3._dispatch, s3._fire_s3_event_async = dispatch_and_check, fire_at_the_end


def _remember_former_versions() -> None:
    for name in ("_record_object_version", "_record_delete_marker"):
        record = getattr(s3, name)

        def remember_and_record(
            bucket: str, key: str, former: Any, *new: Any, record: Callable[..., Any] = record
        ) -> Any:
            if request := _current.get():
                request.remember(bucket, key, former)
            return record(bucket, key, former, *new)

        setattr(s3, name, remember_and_record)


def _note_failed_writes(space: Space) -> None:
    """MiniStack's functions log a failure of these, and go on."""
    write, displace = s3._atomic_write, s3._persist_displaced_version

    def write_or_note(path: str, data: Any, **options: Any) -> None:
        try:
            _check_request()
            write(path, data, **options)
        except OSError as error:
            _note(error, space)
            raise

    def displace_or_note(bucket: str, key: str, former: Any, versioning: str) -> None:
        displace(bucket, key, former, versioning)
        version = (former or {}).get("version_id") or "null"
        if (
            former is not None
            and versioning == "Enabled"
            and not s3._version_file_exists(bucket, key, version)
        ):
            _note(OSError("its former version could not be kept"), space)

    s3._atomic_write, s3._persist_displaced_version = write_or_note, displace_or_note


def _keep_bodies_on_disk(space: Space) -> Callable[[str, str, Any], None]:
    """Return what writes an object and its description, both or neither, and then drops its body from memory.

    MiniStack replaces the one and then writes the other, and keeps the body of each version in memory.
    """
    persist = s3._persist_object

    def persist_and_forget(bucket: str, key: str, stored: Any) -> None:
        if not isinstance(stored, dict):
            persist(bucket, key, stored)
            return
        try:
            _check_request()
            path = s3._object_disk_path(bucket, key)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            _write_together(_contents(bucket, key, stored, Path(path)))
            other = os.path.join(s3.DATA_DIR, s3.get_account_id(), bucket)
            s3._remove_key_files(s3._other_key_disk_path(other, key, path))
        except OSError as error:
            _note(error, space)
            return
        space.written()
        stored["body"] = None
        for version in s3._object_versions.get((bucket, key)) or []:
            is_current = version.get("version_id") == stored.get("version_id")
            if version.get("data") is not None and (
                is_current or s3._version_file_exists(bucket, key, version["version_id"])
            ):
                version["data"] = None

    return persist_and_forget


def _contents(bucket: str, key: str, stored: dict[str, Any], path: Path) -> dict[Path, bytes]:
    """Return the files of an object: its description, and its content unless that is there already."""
    meta = {**s3._object_meta_from_record(stored), **s3._key_history_meta(bucket, key), "key": key}
    files = {path.with_name(f"{path.name}.meta.json"): json.dumps(meta).encode()}
    return files if stored.get("body") is None else {path: stored["body"], **files}


def _write_together(contents: dict[Path, bytes]) -> None:
    """Write all files, and only then put them in the place of the former ones. Raises OSError."""
    # MiniStack ignores files with this ending when it starts.
    new = {file: file.with_name(f"{file.name}.tmp") for file in contents}
    try:
        for file, content in contents.items():
            with open(os.open(new[file], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
                stream.write(content)
        for file, temporary in new.items():
            temporary.replace(file)
    except OSError:
        for temporary in new.values():
            temporary.unlink(missing_ok=True)
        raise


def _check_request() -> None:
    """Write nothing more for a request that will be undone. Raises its OSError."""
    request = _current.get()
    if request is not None and request.error is not None:
        raise request.error


def _note(error: OSError, space: Space) -> None:
    """Let the present request fail. Without one, somebody must at least be told."""
    request = _current.get()
    if request is None:
        space.failed(error)
    else:
        request.error = request.error or error

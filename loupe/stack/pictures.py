"""The framed pictures of inspections, as files on this machine."""

from __future__ import annotations

import re
import time
from pathlib import Path, PurePosixPath

from contract.s3 import split
from loupe.stack.inspections import Inspection, to_json_types
from loupe.stack.target import Target

# What a file name may not contain on some systems, and what a shell would interpret.
_UNUSUAL = re.compile(r"[^\w.-]+")
_POLL_SECONDS = 0.1


def folder(home: Path, record: Inspection) -> Path:
    """Return where the picture of a local cloud's inspection is kept: one folder for each day."""
    return home.absolute() / "pictures" / str(record["received_at"])[:10]


def await_picture(target: Target, image: str, version_id: str, seconds: float) -> Inspection | None:
    """Return an inspection once its framed picture is stored, which follows the verdict and the alert.

    Args:
        target: The stack.
        image: The image's S3 URI.
        version_id: Its version.
        seconds: How long to wait.

    Returns:
        The inspection, after that time also without a picture; None if there is no record.
    """
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    deadline = time.monotonic() + seconds
    while item := table.get_item(Key={"image": image, "version_id": version_id}).get("Item"):
        if "picture" in item or time.monotonic() > deadline:
            record: Inspection = to_json_types(item)
            return record
        time.sleep(_POLL_SECONDS)
    return None


def download(target: Target, record: Inspection, to: Path) -> Path:
    """Download an inspection's framed picture, or its image if nothing was found that could be framed.

    Args:
        target: The stack.
        record: The inspection.
        to: The folder; the file is `<line>-<station>-<serial>-<begin of the id>.<suffix>` in it.

    Returns:
        The file.
    """
    bucket, key = split(record["image"])
    version: dict[str, str] = {"VersionId": record["version_id"]} if record["version_id"] != "null" else {}
    if "picture" in record:
        bucket, key, version = target.output("ArtefactsBucketName"), record["picture"], {}
    parts = [str(record[part]) for part in ("line", "station", "serial")]
    name = "-".join([*parts, str(record["id"])[:8]]) + PurePosixPath(key).suffix.lower()
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = to / _UNUSUAL.sub("-", name)
    target.s3.download_file(bucket, key, str(file), ExtraArgs=version)
    return file

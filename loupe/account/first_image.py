"""The first image: a sample goes the whole way to its verdict."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import ClientError

from contract.keys import incoming
from contract.s3 import join
from localcloud.sources import REPOSITORY
from loupe.errors import LoupeError
from loupe.stack import uploads
from loupe.stack.target import Target
from loupe.stack.uploads import Source, Upload
from loupe.stack.waiting import Cause

_SAMPLE = REPOSITORY / "samples" / "line-2" / "bottom" / "SN1003.jpg"
# A place of its own, so that it is in no line's figures.
LINE, STATION = "first-image", "sample"
KEY = incoming(LINE, STATION, _SAMPLE.name)
_PATIENCE_SECONDS = 600


def verdict(target: Target) -> str | None:
    """Return the verdict of the sample; None if it has none."""
    sample = _uploaded(target)
    if sample is None:
        return None
    table = target.dynamodb.Table(target.output("InspectionsTableName"))
    record = table.get_item(Key={"image": sample.image, "version_id": sample.version_id}).get("Item")
    return str(record["verdict"]) if record else None


def inspect(target: Target, on_line: Callable[[str], None]) -> str:
    """Upload the sample unless it is there, wait for its verdict, and return that.

    Raises:
        LoupeError: There is no verdict after ten minutes; the message says what the image waits for.
    """
    causes: list[Cause] = []

    def on_wait(cause: Cause) -> None:
        causes.append(cause)
        on_line(f"waiting: {cause.message}")

    sample = _uploaded(target)
    if sample is None:
        source = Source(KEY, _SAMPLE.read_bytes, str(_SAMPLE))
        (sample,) = uploads.upload(target, [source], lambda upload: on_line(f"uploaded {upload.image}"))
    records = uploads.follow(target, [sample], lambda record: None, _PATIENCE_SECONDS, on_wait=on_wait)
    if not records:
        reason = causes[-1].message if causes else "nothing is known of it"
        raise LoupeError(
            f"the sample has no verdict yet: {reason}",
            (causes[-1].hint if causes else "") or "It waits in the queue. Repeat the command later.",
        )
    return str(records[sample.identity]["verdict"])


def _uploaded(target: Target) -> Upload | None:
    """Return the sample that is there; None if none is."""
    bucket = target.output("ImagesBucketName")
    try:
        head = target.s3.head_object(Bucket=bucket, Key=KEY)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
            return None
        raise
    return Upload(
        str(_SAMPLE), join(bucket, KEY), head.get("VersionId", "null"), head["LastModified"].timestamp()
    )

"""Inspection records, as their writers and readers share them: verdicts, timestamps, index partitions."""

import hashlib
from datetime import UTC, datetime
from enum import StrEnum


class Verdict(StrEnum):
    """The result of an inspection."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    REVIEW = "review"
    FAIL = "fail"
    UNREADABLE = "unreadable"


# The index by verdict holds these only, so that it stays small.
RARE_VERDICTS = (Verdict.FAIL, Verdict.REVIEW, Verdict.UNREADABLE)
BY_LINE, LINE_PARTITION = "by_line_time", "line_bucket"
BY_VERDICT, VERDICT_PARTITION = "by_verdict_time", "verdict_bucket"
BY_SERIAL, BY_ID = "by_serial", "by_id"  # with the keys of the records alone


def partition(owner: str, day: str, shard: int) -> str:
    """Return the index partition that holds the records of a day, for a line or a verdict.

    A DynamoDB partition takes 1,000 writes a second, so each day is spread over several shards.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html

    Args:
        owner: The line, or the verdict.
        day: ISO 8601, in UTC.
        shard: From 0 to the stack's IndexShards - 1.

    >>> partition("line-1", "2026-01-31", 0)
    'line-1#2026-01-31#0'
    """
    return f"{owner}#{day}#{shard}"


def record_id(image: str, version_id: str) -> str:
    """Return the stable identity of an image version, 32 hex characters. It is also the id of the alert.

    Args:
        image: The image's address, s3://bucket/key.
        version_id: S3's id of its version; "null" without versions.
    """
    return hashlib.sha256(f"{image}\0{version_id}".encode()).hexdigest()[:32]


def timestamp(at: datetime) -> str:
    """Return a time as ISO 8601 in UTC with milliseconds, as in S3's events. A time without a zone is UTC.

    >>> timestamp(datetime(2026, 1, 31, 8, 0))
    '2026-01-31T08:00:00.000Z'
    """
    zoned = at if at.tzinfo else at.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

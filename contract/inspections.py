"""What an inspection record looks like to whoever writes and reads it: verdicts, times, index partitions."""

from datetime import UTC, datetime
from enum import StrEnum


class Verdict(StrEnum):
    """What becomes of the product."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    REVIEW = "review"
    FAIL = "fail"
    UNREADABLE = "unreadable"


# The index by verdict leaves the passes out, so that it stays small.
RARE_VERDICTS = (Verdict.FAIL, Verdict.REVIEW, Verdict.UNREADABLE)
BY_LINE, LINE_PARTITION = "by_line_time", "line_bucket"
BY_VERDICT, VERDICT_PARTITION = "by_verdict_time", "verdict_bucket"


def partition(owner: str, day: str, shard: int) -> str:
    """Return the partition of an index that holds a line's or verdict's records of a day.

    A DynamoDB partition takes 1,000 writes a second, so each day is spread over several shards.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html

    Args:
        owner: The line, or the verdict.
        day: ISO 8601, in UTC.
        shard: From 0 up to the stack's IndexShards.

    >>> partition("line-1", "2026-01-31", 0)
    'line-1#2026-01-31#0'
    """
    return f"{owner}#{day}#{shard}"


def timestamp(at: datetime) -> str:
    """Return ISO 8601 in UTC with milliseconds, as S3's events have it; a time without a zone is UTC.

    >>> timestamp(datetime(2026, 1, 31, 8, 0))
    '2026-01-31T08:00:00.000Z'
    """
    zoned = at if at.tzinfo else at.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

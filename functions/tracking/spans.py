"""Spans of time, in whole hours or days of UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class By(StrEnum):
    """What the counters are read by."""

    HOUR = "hour"
    DAY = "day"


_LENGTHS = {By.HOUR: timedelta(hours=1), By.DAY: timedelta(days=1)}
MOST_BUCKETS = {By.HOUR: 14 * 24, By.DAY: 400}
_IN_WORDS = {By.HOUR: "14 days by the hour", By.DAY: "400 days by the day"}
_HOURLY_UP_TO = timedelta(hours=48)


class SpanError(ValueError):
    """A span that cannot be read. The text is for the person who has asked for it."""


@dataclass(frozen=True, slots=True)
class Span:
    """Whole hours or days.

    Attributes:
        since: The start of the first bucket, in UTC.
        until: The end of the last one.
        by: What the buckets are.
    """

    since: datetime
    until: datetime
    by: By

    @classmethod
    def around(cls, since: datetime, until: datetime, by: By | None = None) -> Span:
        """Return the span whose buckets contain a time span as a whole.

        Args:
            since: Its start.
            until: Its end.
            by: By default the hour, if the time span is not longer than two days.

        Raises:
            SpanError: The time span begins after it ends, or is too long.

        >>> span = Span.around(datetime(2026, 1, 31, 8, 20, tzinfo=UTC), datetime(2026, 1, 31, 10, tzinfo=UTC))
        >>> span.starts()
        ['2026-01-31T08', '2026-01-31T09']
        """
        if since > until:
            raise SpanError("The time span begins after it ends.")
        by = by or (By.HOUR if until - since <= _HOURLY_UP_TO else By.DAY)
        if until - since > _LENGTHS[by] * MOST_BUCKETS[by]:
            raise SpanError(f"The time span is too long: at most {_IN_WORDS[by]}.")
        first, last = _floor(since, by), _floor(until, by)
        if last < until.astimezone(UTC) or last == first:
            last += _LENGTHS[by]
        return cls(first, last, by)

    @classmethod
    def of_day(cls, day: str) -> Span:
        """Return the hours of a day, given as `2026-01-31`."""
        since = datetime.fromisoformat(day).replace(tzinfo=UTC)
        return cls(since, since + timedelta(days=1), By.HOUR)

    @classmethod
    def of_month(cls, month: str) -> Span:
        """Return the days of a month, given as `2026-01`."""
        since = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
        return cls(since, (since + timedelta(days=31)).replace(day=1), By.DAY)

    def starts(self) -> list[str]:
        """Return the buckets, oldest first, as `2026-01-31T08` or `2026-01-31`."""
        return list(self._starts())

    def _starts(self) -> Iterator[str]:
        at = self.since
        while at < self.until:
            yield at.strftime("%Y-%m-%dT%H" if self.by is By.HOUR else "%Y-%m-%d")
            at += _LENGTHS[self.by]


def _floor(at: datetime, by: By) -> datetime:
    whole = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return whole.replace(hour=0) if by is By.DAY else whole

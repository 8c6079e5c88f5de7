"""The hours in which the endpoint runs, as the parameter `EndpointHours` writes them.

>>> shifts = Shifts.parse("MON-FRI 05:45-22:15", "Europe/Berlin")
>>> shifts.hours_a_week
82.5
>>> shifts.opens_at(datetime(2026, 1, 2, 22, 0, tzinfo=UTC)).isoformat()  # a Friday night
'2026-01-05T05:45:00+01:00'
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
# How long before a shift the endpoint is created: SageMaker takes five to ten minutes until it serves.
LEAD = timedelta(minutes=15)
# Half a day less than the queue keeps a message (MessageRetentionPeriod in template.yaml).
LONGEST_PAUSE = timedelta(hours=84)
EXAMPLE = "MON-FRI 05:45-22:15, SAT 06:00-14:00"
_PART = re.compile(
    rf"({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))?\s+([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)"
)
_DAY, _WEEK = 24 * 60, 7 * 24 * 60  # minutes


class ShiftsError(ValueError):
    """The hours or their time zone are not valid; the message says why."""


@dataclass(frozen=True, slots=True)
class Shifts:
    """The hours of each week in which the endpoint runs.

    Attributes:
        windows: Their beginnings and ends in minutes from Monday, 00:00; the last may end in the next week.
        zone: The time zone of these times.
        text: How they were written.
    """

    windows: tuple[tuple[int, int], ...]
    zone: ZoneInfo
    text: str

    @classmethod
    def parse(cls, text: str, timezone: str) -> Shifts:
        """Return the hours that a text means.

        Args:
            text: Days and hours such as `MON-FRI 05:45-22:15`, several of them separated by `,` or `;`. An end that is
                not after its beginning is on the next day.
            timezone: A name of the IANA database, such as Europe/Berlin.

        Raises:
            ShiftsError: The text is something else, the time zone is unknown, or a pause is longer than images wait.
        """
        try:
            zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ShiftsError(f"there is no time zone {timezone!r}; one is Europe/Berlin") from error
        windows = [window for part in re.split(r"[,;]", text) for window in _windows(part.strip().upper())]
        shifts = cls(_joined(windows), zone, text.strip())
        if shifts.longest_pause > LONGEST_PAUSE:
            raise ShiftsError(
                f"between two shifts lie {_hours(shifts.longest_pause)} hours, and the images of at most "
                f"{_hours(LONGEST_PAUSE)} can wait"
            )
        return shifts

    @property
    def hours_a_week(self) -> float:
        """How many hours a week the endpoint runs, without the time in which it starts."""
        return sum(end - begin for begin, end in self.windows) / 60

    @property
    def longest_pause(self) -> timedelta:
        """The longest time between two shifts, by the clock on the wall."""
        begins = [begin for begin, _ in self.windows]
        following = [*begins[1:], begins[0] + _WEEK]
        return timedelta(
            minutes=max(begin - end for (_, end), begin in zip(self.windows, following, strict=True))
        )

    def is_open(self, at: datetime) -> bool:
        """Return whether a shift is on."""
        return any(begin <= at < end for begin, end in self._around(at))

    def opens_at(self, at: datetime) -> datetime:
        """Return when the next shift begins, or `at` itself during one."""
        return at if self.is_open(at) else min(begin for begin, _ in self._around(at) if begin > at)

    def closes_at(self, at: datetime) -> datetime:
        """Return when the present or the next shift ends."""
        return min(end for _, end in self._around(at) if end > at)

    def _around(self, at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the shifts of last week, this week and the next two, as times of the zone."""
        local = at.astimezone(self.zone)
        monday = local.date() - timedelta(days=local.weekday())
        for week in (-1, 0, 1, 2):
            for begin, end in self.windows:
                yield self._time(monday, week * _WEEK + begin), self._time(monday, week * _WEEK + end)

    def _time(self, monday: date, minutes: int) -> datetime:
        """Return a time on the wall's clock. One that the change to summer time skips is an hour later."""
        days, minute = divmod(minutes, _DAY)
        wall = datetime.combine(monday + timedelta(days=days), datetime.min.time(), self.zone)
        wall = wall.replace(hour=minute // 60, minute=minute % 60)
        return wall.astimezone(UTC).astimezone(self.zone)


def _windows(part: str) -> Iterator[tuple[int, int]]:
    match = _PART.fullmatch(part)
    if match is None:
        raise ShiftsError(f"{part!r} is not of the form {EXAMPLE!r}")
    first, last, *times = match.groups()
    begin_hour, begin_minute, end_hour, end_minute = map(int, times)
    begin, end = begin_hour * 60 + begin_minute, end_hour * 60 + end_minute
    if end > _DAY:
        raise ShiftsError(f"{part!r} ends after midnight: write the time of the next day, such as 00:30")
    length = (end - begin) % _DAY or _DAY
    start, stop = DAYS.index(first), DAYS.index(last or first)
    for offset in range((stop - start) % len(DAYS) + 1):
        day = (start + offset) % len(DAYS)
        yield day * _DAY + begin, day * _DAY + begin + length


def _joined(windows: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the windows of a week in order; those that touch or overlap are one, also over the week's end."""
    joined: list[list[int]] = []
    for begin, end in sorted(windows):
        if joined and begin <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([begin, end])
    # What reaches into the next week joins the windows at its beginning.
    while len(joined) > 1 and joined[-1][1] - _WEEK >= joined[0][0]:
        _, end = joined.pop(0)
        joined[-1][1] = max(joined[-1][1], end + _WEEK)
    if joined[-1][1] - joined[-1][0] >= _WEEK:
        return ((0, _WEEK),)
    return tuple((begin, end) for begin, end in joined)


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:g}"

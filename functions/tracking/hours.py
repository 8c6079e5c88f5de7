"""Tells a search in which hours there is something to find, so that it does not read the others."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tracking.beginning import Beginning
from tracking.cells import Cell
from tracking.counters import CLASS_PREFIXES, INSPECTED, Counts
from tracking.spans import Span
from tracking.statistics import EVERYTHING, Statistics, Wanted

_NEVER = "9999"
_DAY = timedelta(days=1)
_MOST_TOGETHER = 8  # days
# Counting lags a little behind, so that the newest hours with counts are not taken as complete.
_UNSETTLED = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Sought:
    """What a search is for. What is None does not matter.

    Attributes:
        where: The line, the station, and the model.
        verdict: The verdict.
        defect: A class: of `inspection.records.classes_of`.
    """

    where: Wanted = EVERYTHING
    verdict: str | None = None
    defect: str | None = None

    def number_in(self, counts: Counts) -> int:
        """Return how many images match."""
        if self.defect is None:
            return counts[self.verdict or INSPECTED]
        prefixes = [
            prefix for verdict, prefix in CLASS_PREFIXES.items() if self.verdict in (None, str(verdict))
        ]
        return sum(counts[prefix + self.defect] for prefix in prefixes)


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour in which there may be something to find.

    Attributes:
        start: As `2026-01-31T08`, in UTC.
        number: How many images match; None if not all images of the hour are counted.
    """

    start: str
    number: int | None


@dataclass(frozen=True, slots=True)
class Hours:
    """Knows the hours of a search.

    Attributes:
        statistics: The counters.
        sought: What is sought.
    """

    statistics: Statistics
    sought: Sought
    _months: dict[str, Counts] = field(default_factory=dict)

    def between(self, since: datetime, until: datetime) -> Iterator[Hour]:
        """Yield the hours in which images may match, newest first. The others contain none.

        A month is one query, and each of its days with such images another one. They are asked when the reader gets
        there: a day at first, then two together, and more.

        Args:
            since: The earliest time at which an image was received.
            until: The latest one.
        """
        began = self._began()
        settled = ""  # the hours before this one are counted as a whole
        days, together = list(_days(since, until)), 1
        while days:
            batch, days, together = days[:together], days[together:], min(2 * together, _MOST_TOGETHER)
            counted = self._read([day for day, _ in batch if not settled or self._is_in(day)])
            for day, hours in batch:
                cells = counted.get(day, [])
                settled = settled or _settled([cell for cell, _ in cells])
                numbers = self._numbers(cells)
                for hour in hours:
                    if hour <= began or not settled or hour >= settled:
                        yield Hour(hour, None)
                    elif numbers[hour]:
                        yield Hour(hour, numbers[hour])

    def _read(self, days: list[str]) -> dict[str, list[tuple[Cell, Counts]]]:
        """Return the counters of some days by the hour. The days are read at the same time."""
        if len(days) <= 1:
            return {day: self.statistics.counts(Span.of_day(day)) for day in days}
        with ThreadPoolExecutor(_MOST_TOGETHER) as pool:
            return dict(zip(days, pool.map(self.statistics.counts, map(Span.of_day, days)), strict=True))

    def _numbers(self, cells: list[tuple[Cell, Counts]]) -> Counts:
        """Return how many images match, by hour or day."""
        numbers = Counts()
        for cell, counts in cells:
            if self.sought.where.accepts(cell):
                numbers[cell.hour] += self.sought.number_in(counts)
        return numbers

    def _began(self) -> str:
        return (Beginning(self.statistics.client, self.statistics.table_name).read() or _NEVER)[:13]

    def _is_in(self, day: str) -> bool:
        """Return whether a day has matching images."""
        month = day[:7]
        if month not in self._months:
            self._months[month] = self._numbers(self.statistics.counts(Span.of_month(month)))
        return self._months[month][day] > 0


def _settled(cells: list[Cell]) -> str:
    """Return the hour before which everything is counted, if these are the newest cells; empty if there are none."""
    if not cells:
        return ""
    newest = datetime.fromisoformat(max(cell.hour for cell in cells) + ":00+00:00")
    return (newest - _UNSETTLED).strftime("%Y-%m-%dT%H")


def _days(since: datetime, until: datetime) -> Iterator[tuple[str, list[str]]]:
    """Yield each day with its hours in a time span, both newest first."""
    first, last = (at.astimezone(UTC).strftime("%Y-%m-%dT%H") for at in (since, until))
    at = until.astimezone(UTC)
    while at.strftime("%Y-%m-%d") >= first[:10]:
        day = at.strftime("%Y-%m-%d")
        hours = [f"{day}T{hour:02d}" for hour in reversed(range(24))]
        yield day, [hour for hour in hours if first <= hour <= last]
        at -= _DAY

"""When and where something was inspected, from the counters: the search for inspections skips the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from inspection.index_reading import Wanted
from tracking import statistics
from tracking.hours import Hours, Sought
from tracking.places import Places


@dataclass(frozen=True)
class CountedActivity:
    """What the counters know.

    Attributes:
        places: The lines and stations.
        statistics: The counters.
    """

    places: Places
    statistics: statistics.Statistics

    def lines(self, station: str | None) -> Collection[str]:
        """Return all lines; those that have such a station, if one is given."""
        return sorted({p["line"] for p in self.places.read() if station in (None, p["station"])})

    def hours(self, wanted: Wanted) -> Iterator[str]:
        """Yield the hours in which something may match, newest first."""
        where = statistics.Wanted(wanted.line, wanted.station, wanted.model)
        sought = Sought(where, wanted.verdict, wanted.defect)
        return (hour.start for hour in Hours(self.statistics, sought).between(wanted.since, wanted.until))

"""What a search for inspections was asked for, in the words of the request."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from api import cursors
from api.errors import invalid_request
from api.inspections import search
from api.times import parse_time
from contract.inspections import Verdict
from inspection.index_reading import Wanted
from inspection.search import Page

_LONGEST_AGE = timedelta(days=3660)  # no record is kept longer
EVER = f"{_LONGEST_AGE.days}d"


@dataclass(frozen=True, slots=True)
class Asked:
    """The filter. What is None does not matter.

    Attributes:
        line: The production line.
        station: The station.
        serial: The serial of the part.
        verdict: The verdict.
        defect: A class for which the image failed, or went to review.
        model: A version of the model.
        since: The earliest time, as `parse_time` reads it; by default 7 days ago.
        until: The latest time; by default now.
    """

    line: str | None = None
    station: str | None = None
    serial: str | None = None
    verdict: Verdict | None = None
    defect: str | None = None
    model: str | None = None
    since: str | None = None
    until: str | None = None

    def page(self, limit: int, cursor: str | None) -> tuple[Page, str | None]:
        """Return a page of what is found, and the cursor of the next one.

        Args:
            limit: The most records of the page.
            cursor: What the page before gave.

        Raises:
            ApiError: The times or the cursor are not valid.
        """
        scope = {"list": "inspections", **asdict(self)}
        position = cursors.decode(cursor, scope)
        try:
            page = search().page(self._wanted(), limit, position)
        except ValueError:
            raise cursors.invalid_cursor() from None
        return page, cursors.encode(page.position, scope)

    def _wanted(self) -> Wanted:
        now = datetime.now(UTC)
        since = max(parse_time(self.since or "7d", now), now - _LONGEST_AGE)
        until = min(parse_time(self.until or "0s", now), now + timedelta(days=1))
        if since > until:
            raise invalid_request("The time span begins after it ends.")
        return Wanted(
            since, until, self.line, self.station, self.serial, self.verdict, self.defect, self.model
        )

"""Points in time as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from api.errors import ApiError, invalid_request

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LONGEST = 40  # characters


def parse_time(text: str, now: datetime) -> datetime:
    """Return a point in time, in UTC.

    Args:
        text: `90s`, `15m`, `2h` or `7d` ago, or ISO 8601; UTC if it has no time zone.
        now: What the first form counts back from.

    Raises:
        ApiError: The text has neither form, or means a time before the year 1.
    """
    try:
        if ago := re.fullmatch(r"(\d{1,9})([smhd])", text, re.ASCII):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _not_a_time() from None


def _not_a_time() -> ApiError:
    return invalid_request("This is not a time. Write 15m, 2h, 7d, or 2026-01-31T08:00Z.")

"""For how long a swap waits: until a minute after the shift has begun."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from contract.shifts import Shifts
from hours.waiting import seconds_until_shift

BERLIN = ZoneInfo("Europe/Berlin")
SHIFTS = Shifts.parse("MON-FRI 05:45-22:15", "Europe/Berlin")


@pytest.mark.parametrize(
    ("at", "seconds"),
    [
        ("2026-01-06T12:00:00", 0),
        # The endpoint is up already, but images come with the shift.
        ("2026-01-06T05:40:00", 6 * 60),
        ("2026-01-05T22:15:00", 7.5 * 3600 + 60),
        # A weekend, and one whose night is an hour shorter.
        ("2026-01-09T22:15:00", (48 + 7.5) * 3600 + 60),
        ("2026-03-27T22:15:00", (48 + 6.5) * 3600 + 60),
    ],
)
def test_a_swap_waits_for_the_shift(at: str, seconds: float) -> None:
    now = datetime.fromisoformat(at).replace(tzinfo=BERLIN).astimezone(UTC)
    assert seconds_until_shift(SHIFTS, now) == seconds


def test_without_hours_a_swap_does_not_wait() -> None:
    assert seconds_until_shift(None, datetime(2026, 1, 5, tzinfo=BERLIN)) == 0

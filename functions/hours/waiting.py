"""How long a new model waits for the shift."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from contract.shifts import Shifts

# After the beginning of a shift, images that have waited come first.
_AFTER = timedelta(minutes=1)


def seconds_until_shift(shifts: Shifts | None, now: datetime) -> int:
    """Return for how many seconds a swap waits, because a canary needs images and a champion to return to.

    Args:
        shifts: The endpoint's hours; None for always.
        now: The time.
    """
    if shifts is None or shifts.is_open(now):
        return 0
    return math.ceil((shifts.opens_at(now) + _AFTER - now).total_seconds())

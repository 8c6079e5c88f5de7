"""Whether the endpoint rests between the shifts, so that images wait without any alarm."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

from contract.shifts import Shifts, ShiftsError

_logger = logging.getLogger(__name__)
_SECONDS = 30.0  # for which an answer of SageMaker holds


def shifts_of(hours: str, timezone: str) -> Shifts | None:
    """Return the hours of the environment; None for always, and for hours that are not valid.

    Those are reported by the function that keeps them; no image may wait for that.
    """
    if not hours:
        return None
    try:
        return Shifts.parse(hours, timezone)
    except ShiftsError as error:
        _logger.error("the endpoint's hours are not valid: %s", error)
        return None


@dataclass
class Resting:
    """Tells whether images wait for the next shift.

    Attributes:
        shifts: The endpoint's hours; None for always.
        is_serving: Asks whether the endpoint serves: a person may have started it.
        now: Returns the time.
    """

    shifts: Shifts | None
    is_serving: Callable[[], bool]
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _asked: float = field(default=-_SECONDS, repr=False)
    _serving: bool = field(default=False, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def until(self) -> datetime | None:
        """Return when the next shift begins if the endpoint rests until then; None if it does not rest."""
        now = self.now()
        if self.shifts is None or self.shifts.is_open(now) or self._serves():
            return None
        return self.shifts.opens_at(now)

    def _serves(self) -> bool:
        # All threads of a batch ask at the same moment; one question is enough.
        with self._lock:
            if time.monotonic() - self._asked >= _SECONDS:
                self._serving, self._asked = self.is_serving(), time.monotonic()
            return self._serving

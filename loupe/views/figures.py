"""Times, amounts and scores, formatted for people."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def accuracy(scores: dict[str, Any], figure: str = "map") -> str:
    """Format a figure, by default the mAP, with its interval; `-` if there is none.

    >>> accuracy({"map": 0.4123, "map_interval": [0.371, 0.455]})
    '0.412 [0.371, 0.455]'
    """
    value, interval = scores.get(figure), scores.get(f"{figure}_interval")
    if value is None or not interval:
        return score(value)
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def duration(seconds: float) -> str:
    """Format a duration.

    >>> duration(9), duration(75), duration(7500)
    ('9 s', '1 min 15 s', '2 h 5 min')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def dollars(amount: float | None) -> str:
    """Format US dollars; `-` if the amount is not known, as on a laptop."""
    return "-" if amount is None else f"${amount:.2f}"


def score(value: float | None) -> str:
    """Format a score; `-` if there is none."""
    return "-" if value is None else f"{value:.3f}"


def share(value: float | None) -> str:
    """Format a share as a percentage; `-` if there is none.

    >>> share(0.9642)
    '96.4 %'
    """
    return "-" if value is None else f"{value:.1%}".replace("%", " %")


def local_time(time: str | datetime) -> str:
    """Format a point in time as the reader's local date and time.

    Args:
        time: ISO 8601 or a datetime, with a time zone.
    """
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"

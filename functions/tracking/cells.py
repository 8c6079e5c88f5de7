"""The keys of the statistics table's counters: an hour or a day of a station, with one model."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from inspection.records import Record

# Retention beyond the records' own: trends are asked for when their images are long gone, and days are few.
_DAYS_LIVE_LONGER_S = 2 * 366 * 86_400


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """What is counted together.

    Attributes:
        hour: The hour in which the images were received, as `2026-01-31T08`, in UTC.
        line: The production line.
        station: The station on it.
        model: The version of the model; empty if no model has judged.
    """

    hour: str
    line: str
    station: str
    model: str


def cell_of(record: Record) -> Cell:
    """Return the cell in which a record is counted."""
    model = (record.get("model") or {}).get("version", "")
    return Cell(record["received_at"][:13], record["line"], record["station"], model)


def item_keys(cell: Cell) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the keys (pk, sk) of a cell's item by the hour, and of the one by the day.

    >>> hour, day = item_keys(Cell("2026-01-31T08", "line #1", "top", "7"))
    >>> hour
    ('hour#2026-01-31', '08#line%20%231#top#7')
    >>> day
    ('day#2026-01', '31#line%20%231#top#7')
    """
    names = "#".join(quote(name, safe="") for name in (cell.line, cell.station, cell.model))
    hour = (hours_partition(cell.hour[:10]), f"{cell.hour[11:]}#{names}")
    return hour, (days_partition(cell.hour[:7]), f"{cell.hour[8:10]}#{names}")


def hours_partition(day: str) -> str:
    """Return the partition of a day's items by the hour."""
    return f"hour#{day}"


def days_partition(month: str) -> str:
    """Return the partition of a month's items by the day."""
    return f"day#{month}"


def cell_at(pk: str, sk: str) -> Cell:
    """Return the cell of an item with this key. The hour of an item by the day is only its date.

    >>> cell_at("day#2026-01", "31#line%20%231#top#7")
    Cell(hour='2026-01-31', line='line #1', station='top', model='7')
    """
    kind, _, span = pk.partition("#")
    part, *names = sk.split("#")
    line, station, model = map(unquote, names)
    return Cell(f"{span}{'T' if kind == 'hour' else '-'}{part}", line, station, model)


def day_expiry(expires_at: int) -> int:
    """Return when an item by the day is deleted, if the records of that day are deleted at `expires_at`."""
    return expires_at + _DAYS_LIVE_LONGER_S

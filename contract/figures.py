"""Numbers for people, with as many digits as decide."""

from __future__ import annotations

from decimal import Decimal

# A bound with more decimal places was computed, not chosen; it need not be shown in full.
_MAX_PLACES = 6


def beside(value: float | Decimal, bound: float | Decimal, places: int = 2) -> tuple[str, str]:
    """Return a value and the bound that it was compared with, as texts that compare as the two numbers do.

    0.496 against 0.5 is `0.496`, not `0.50`: a reader must see why it was not enough.

    Args:
        value: The value.
        bound: What it was compared with.
        places: The fewest decimal places. The bound's own are always shown, up to six.

    >>> beside(0.91, 0.5), beside(0.496, 0.5), beside(0.5, 0.5)
    (('0.91', '0.50'), ('0.496', '0.500'), ('0.50', '0.50'))
    """
    exact, exact_bound = Decimal(str(value)), Decimal(str(bound))
    for count in range(max(places, min(_places(exact_bound), _MAX_PLACES)), 18):
        shown, shown_bound = f"{exact:.{count}f}", f"{exact_bound:.{count}f}"
        if Decimal(shown).compare(Decimal(shown_bound)) == exact.compare(exact_bound):
            return shown, shown_bound
    return str(value), str(bound)


def percent(value: float | Decimal, bound: float | Decimal) -> tuple[str, str]:
    """Return two shares as percentages that compare as the two numbers do.

    >>> percent(0.91, 0.5), percent(0.504, 0.5)
    (('91%', '50%'), ('50.4%', '50.0%'))
    """
    shown, shown_bound = beside(Decimal(str(value)).scaleb(2), Decimal(str(bound)).scaleb(2), 0)
    return f"{shown}%", f"{shown_bound}%"


def _places(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0

"""A value that is shown beside its bound compares with it as the real one does."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contract.figures import beside, percent

SHARE = st.floats(0, 1)


def number(shown: str) -> Decimal:
    return Decimal(shown.removesuffix("%"))


@given(SHARE, SHARE | st.sampled_from([0.3, 0.5, 0.475]))
@example(0.4999999999, 0.5)
@example(5e-324, 0.0)
@example(0.5, 0.5)
def test_shown_numbers_compare_as_the_real_ones(value: float, bound: float) -> None:
    order = Decimal(value).compare(Decimal(bound))
    for shown, shown_bound in (beside(value, bound), percent(value, bound), beside(value, bound, 0)):
        assert number(shown).compare(number(shown_bound)) == order


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_two_decimal_places_are_shown_where_they_decide(value: int, bound: int) -> None:
    shown, shown_bound = beside(value / 100, bound / 100)
    assert (shown, shown_bound) == (f"{value / 100:.2f}", f"{bound / 100:.2f}")


@pytest.mark.parametrize(
    ("value", "bound", "shown"),
    [
        (0.496, 0.5, ("0.496", "0.500")),
        (0.9, 0.475, ("0.900", "0.475")),
        (0.3000004, 0.3, ("0.3000004", "0.3000000")),
        (0.9, 1 / 3, ("0.900000", "0.333333")),
    ],
)
def test_a_bound_is_shown_as_it_was_set_and_a_near_value_with_the_digits_that_differ(
    value: float, bound: float, shown: tuple[str, str]
) -> None:
    assert beside(value, bound) == shown


def test_a_percentage_has_decimals_only_where_they_decide() -> None:
    assert percent(0.91, 0.5) == ("91%", "50%")
    assert percent(0.304, 0.3) == ("30.4%", "30.0%")

"""The hours of the endpoint: how they are written, and when a shift is on."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.shifts import DAYS, Shifts, ShiftsError

BERLIN = ZoneInfo("Europe/Berlin")


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def test_a_shift_is_on_from_its_beginning_until_its_end() -> None:
    shifts = Shifts.parse("MON-FRI 05:45-22:15", "Europe/Berlin")
    assert not shifts.is_open(berlin("2026-01-05T05:44:59"))
    assert shifts.is_open(berlin("2026-01-05T05:45:00"))
    assert shifts.is_open(berlin("2026-01-05T22:14:59"))
    assert not shifts.is_open(berlin("2026-01-05T22:15:00"))
    assert not shifts.is_open(berlin("2026-01-10T12:00:00"))  # a Saturday


def test_times_of_any_zone_are_understood() -> None:
    shifts = Shifts.parse("MON-FRI 06:00-14:00", "Asia/Tokyo")
    assert shifts.is_open(datetime(2026, 1, 4, 21, 0, tzinfo=UTC))  # Monday, 06:00 in Tokyo
    assert not shifts.is_open(datetime(2026, 1, 4, 20, 59, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("MON-FRI 05:45-22:15", 82.5),
        ("mon-fri 05:45-22:15", 82.5),
        ("MON-FRI 06:00-14:00; SAT 06:00-12:00", 46),
        ("MON-FRI 06:00-14:00 , SAT 06:00-12:00", 46),
        ("MON-THU 22:00-06:00, SAT 08:00-09:00", 33),
        ("FRI-MON 08:00-12:00, WED 08:00-09:00", 17),
        ("MON-SUN 00:00-24:00", 168),
        ("MON-SUN 00:00-00:00", 168),
        ("MON-SUN 06:00-18:00, MON-SUN 12:00-20:00", 98),
        ("SUN 22:00-08:00, MON 06:00-10:00, WED-FRI 06:00-10:00", 24),
    ],
)
def test_hours_are_written_as_people_write_them(text: str, hours: float) -> None:
    assert Shifts.parse(text, "Europe/Berlin").hours_a_week == hours


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not of the form"),
        ("always", "not of the form"),
        ("MON-FRI", "not of the form"),
        ("MON-FRI 5:45-22:15", "not of the form"),
        ("MON-FRI 05:45-24:30", "ends after midnight"),
        ("MON-FRI 05:45-22:60", "not of the form"),
        ("MON-FRI 05:45-22:15,", "not of the form"),
        ("MO-FR 05:45-22:15", "not of the form"),
        ("MON 06:00-14:00", "160 hours"),
        ("MON-WED 06:00-14:00", "112 hours"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(ShiftsError, match=problem):
        Shifts.parse(text, "Europe/Berlin")


@pytest.mark.parametrize("zone", ["", "Berlin", "../../etc/passwd", "/etc/localtime", "Europe"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ShiftsError, match="time zone"):
        Shifts.parse("MON-FRI 05:45-22:15", zone)


def test_a_week_of_four_days_is_allowed() -> None:
    assert Shifts.parse("MON-THU 06:00-22:00", "Europe/Berlin").longest_pause == timedelta(hours=80)


def test_a_shift_over_midnight_and_the_week_s_end_is_one() -> None:
    shifts = Shifts.parse("SUN-THU 22:00-06:00", "Europe/Berlin")
    assert shifts.is_open(berlin("2026-01-05T05:59:00"))  # Monday, from Sunday's shift
    assert shifts.closes_at(berlin("2026-01-04T23:00:00")) == berlin("2026-01-05T06:00:00")
    assert not shifts.is_open(berlin("2026-01-10T01:00:00"))


def test_the_next_shift_after_a_weekend() -> None:
    shifts = Shifts.parse("MON-FRI 05:45-22:15", "Europe/Berlin")
    assert shifts.opens_at(berlin("2026-01-02T22:15:00")) == berlin("2026-01-05T05:45:00")
    assert shifts.opens_at(berlin("2026-01-05T06:00:00")) == berlin("2026-01-05T06:00:00")
    assert shifts.closes_at(berlin("2026-01-03T12:00:00")) == berlin("2026-01-05T22:15:00")


def test_a_shift_keeps_its_hours_on_the_clock_when_the_time_changes() -> None:
    shifts = Shifts.parse("MON-SUN 05:00-21:00", "Europe/Berlin")
    assert shifts.opens_at(datetime(2026, 3, 28, 21, tzinfo=UTC)) == datetime(2026, 3, 29, 3, tzinfo=UTC)
    assert shifts.opens_at(datetime(2026, 10, 24, 21, tzinfo=UTC)) == datetime(2026, 10, 25, 4, tzinfo=UTC)


def test_a_time_that_the_change_skips_is_an_hour_later() -> None:
    shifts = Shifts.parse("MON-SUN 02:30-21:00", "Europe/Berlin")
    assert shifts.opens_at(datetime(2026, 3, 28, 21, tzinfo=UTC)) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 6),
            st.integers(0, 6),
            st.integers(0, 23),
            st.integers(0, 23),
            st.sampled_from([0, 30]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_the_answers_agree_with_each_other_at_any_time(
    parts: list[tuple[int, int, int, int, int]], at: datetime
) -> None:
    text = ", ".join(f"{DAYS[a]}-{DAYS[b]} {c:02}:{m:02}-{d:02}:{m:02}" for a, b, c, d, m in parts)
    try:
        shifts = Shifts.parse(text, "Europe/Berlin")
    except ShiftsError:
        return
    opens, closes = shifts.opens_at(at), shifts.closes_at(at)
    assert at <= opens < closes
    assert shifts.is_open(opens)
    assert shifts.is_open(at) == (opens == at)
    if not shifts.is_open(at):
        assert not shifts.is_open(opens - timedelta(seconds=1))
    if shifts.hours_a_week < 168:
        assert not shifts.is_open(closes)

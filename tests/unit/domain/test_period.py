"""Periods of the calendar: which one a day lies in, and what stands beside it."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmares.domain.period import Period, end_of_period, period_before, start_of_period, weekday_of
from tests.world import day

DAYS = st.dates().map(date.toordinal)
PERIODS = st.sampled_from(["daily", "weekly", "monthly"])


def same_period(period: Period, one: int, other: int) -> bool:
    """The slow and obvious way, by Python's own calendar."""
    first, second = date.fromordinal(one), date.fromordinal(other)
    if period == "monthly":
        return (first.year, first.month) == (second.year, second.month)
    if period == "weekly":
        # Days since Sunday; isoweekday is 7 on Sundays.
        return one - first.isoweekday() % 7 == other - second.isoweekday() % 7
    return one == other


@given(PERIODS, DAYS)
def test_a_period_is_exactly_the_days_from_its_start_to_its_end(period: Period, today: int) -> None:
    start, end = start_of_period(period, today), end_of_period(period, today)

    assert start <= today <= end
    assert same_period(period, start, today)
    assert same_period(period, end, today)
    for outside in (start - 1, end + 1):
        if date.min.toordinal() <= outside <= date.max.toordinal():
            assert not same_period(period, outside, today)


@given(PERIODS, DAYS)
def test_the_period_before_ends_where_a_period_starts(period: Period, today: int) -> None:
    start = start_of_period(period, today)
    before = period_before(period, start)

    if start == date.min.toordinal():
        assert before == start
    else:
        assert end_of_period(period, before) == start - 1


def test_a_week_begins_on_its_sunday() -> None:
    assert start_of_period("weekly", day("2026-03-01")) == day("2026-03-01")
    assert start_of_period("weekly", day("2026-03-07")) == day("2026-03-01")
    assert start_of_period("weekly", day("2026-03-08")) == day("2026-03-08")


@pytest.mark.parametrize("text", ["0001-01-01", "0001-01-06", "9999-12-31"])
def test_the_ends_of_the_calendar_have_a_week_too(text: str) -> None:
    assert 0 <= day(text) - start_of_period("weekly", day(text)) < 7
    assert 0 <= end_of_period("weekly", day(text)) - day(text) < 7


def test_months_have_their_own_lengths() -> None:
    assert end_of_period("monthly", day("2028-02-01")) == day("2028-02-29")
    assert end_of_period("monthly", day("2026-02-10")) == day("2026-02-28")
    assert end_of_period("monthly", day("2026-12-31")) == day("2026-12-31")


def test_weekdays_count_from_sunday() -> None:
    assert [weekday_of(day(text)) for text in ("2026-03-01", "2026-03-04", "2026-03-07")] == [0, 3, 6]

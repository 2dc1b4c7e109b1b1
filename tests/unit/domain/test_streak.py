"""Streaks: which periods count, how long a streak is and when it breaks, against a slow definition."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmares.domain.local_time import DAY, HOUR, day_of, format_instant, local_at, parse_instant, start_of
from palmares.domain.streak import (
    PeriodLength,
    Streak,
    StreakEvent,
    at,
    blank,
    counted_period,
    counted_periods,
    decode,
    encode,
    expires_on,
    fold,
    history,
    in_order,
    in_zone,
    step,
)
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.value import LEAST, MICROS
from tests import slow_streaks
from tests.slow_streaks import PERIODS, shown
from tests.world import day

DAILY = StreakSettings()
WEEKLY = StreakSettings(frequency="weekly")
MONTHLY = StreakSettings(frequency="monthly")
WORKDAYS = StreakSettings(days_off=(0, 6))
LAPS, HOURS = 1, 2
ZONES = (None, "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu")


def acting(*days: str, metric: int = LAPS, amount: int = 1) -> list[StreakEvent]:
    """One event on each day such as 03-04 of 2026, at noon UTC."""
    found = []
    for position, text in enumerate(days, 1):
        instant = start_of(day(f"2026-{text}")) + 12 * HOUR
        found.append(StreakEvent(instant, position, metric, amount * MICROS, instant))
    return found


def swum(*amounts: tuple[int, int]) -> list[StreakEvent]:
    """Pairs of metric and amount, an hour apart, on one day."""
    begin = start_of(day("2026-03-04"))
    return [
        StreakEvent(begin + place * HOUR, place, metric, amount * MICROS, begin + place * HOUR)
        for place, (metric, amount) in enumerate(amounts)
    ]


def instant(text: str) -> int:
    return parse_instant(text, "at")


# What counts


def test_each_day_that_follows_adds_one() -> None:
    state = fold(DAILY, acting("03-02", "03-03", "03-04"), None)

    assert (state.length, state.started, state.extended_on) == (3, day("2026-03-02"), day("2026-03-04"))
    assert counted_period(DAILY, state) == day("2026-03-04")
    assert expires_on(DAILY, state) == day("2026-03-05")
    assert state.extended_at == instant("2026-03-04T12:00:00Z")


def test_a_period_counts_once() -> None:
    """The state does not even become another object, so nothing has to be written down."""
    first, second = acting("03-04", "03-04")
    state = fold(DAILY, [first], None)

    assert step(DAILY, state, second, None) is state


def test_a_missed_day_begins_a_new_streak() -> None:
    state = fold(DAILY, acting("03-01", "03-02", "03-04"), None)

    assert (state.length, state.started) == (1, day("2026-03-04"))
    assert (state.longest, state.longest_at) == (2, instant("2026-03-02T12:00:00Z"))


def test_without_metrics_only_positive_events_count() -> None:
    assert fold(DAILY, acting("03-04", amount=0), None) == blank(DAILY)
    assert fold(DAILY, acting("03-04", amount=-1), None) == blank(DAILY)
    assert fold(DAILY, acting("03-04", metric=HOURS), None).length == 1


def test_weeks_go_from_sunday_to_saturday() -> None:
    state = fold(WEEKLY, acting("02-28", "03-01", "03-14"), None)

    assert (state.length, state.started) == (3, day("2026-02-28"))
    assert (state.extended_on, counted_period(WEEKLY, state)) == (day("2026-03-14"), day("2026-03-08"))
    assert expires_on(WEEKLY, state) == day("2026-03-21")


def test_months_are_those_of_the_calendar() -> None:
    state = fold(MONTHLY, acting("01-31", "02-01"), None)

    assert state.length == 2
    assert counted_period(MONTHLY, state) == day("2026-02-01")
    assert expires_on(MONTHLY, state) == day("2026-03-31")


@pytest.mark.parametrize(
    ("mode", "amounts", "counts"),
    [
        ("OR", [(LAPS, 4)], False),
        ("OR", [(LAPS, 4), (LAPS, 1)], True),
        ("OR", [(HOURS, 2)], True),
        ("AND", [(LAPS, 5)], False),
        ("AND", [(LAPS, 5), (HOURS, 2)], True),
        ("AND", [(HOURS, 1), (LAPS, 5), (HOURS, 1)], True),
        # What was reached stays reached, and what was not may be lost again.
        ("AND", [(LAPS, 5), (LAPS, -5), (HOURS, 2)], True),
        ("AND", [(LAPS, 4), (LAPS, -1), (LAPS, 1), (HOURS, 2)], False),
        # Other metrics are of no interest.
        ("OR", [(3, 100)], False),
    ],
)
def test_thresholds_are_reached_by_the_sum_of_a_period(mode: Any, amounts: list[tuple[int, int]], counts: bool) -> None:
    settings = StreakSettings(evaluation_mode=mode, metrics=((LAPS, 5 * MICROS), (HOURS, 2 * MICROS)))

    assert fold(settings, swum(*amounts), None).length == counts


def test_what_a_day_has_not_reached_is_not_carried_over() -> None:
    settings = StreakSettings(metrics=((LAPS, 2 * MICROS),))

    assert fold(settings, acting("03-03", "03-04"), None).length == 0
    assert fold(settings, acting("03-04", "03-04"), None).length == 1


def test_a_counted_period_is_not_taken_back() -> None:
    settings = StreakSettings(metrics=((LAPS, 2 * MICROS),))

    assert fold(settings, swum((LAPS, 2), (LAPS, -2)), None).length == 1


def test_a_missed_day_off_is_passed_over() -> None:
    """Friday to Monday; 6 March is a Friday."""
    state = fold(WORKDAYS, acting("03-05", "03-06", "03-09"), None)

    assert (state.length, state.started) == (3, day("2026-03-05"))
    assert expires_on(WORKDAYS, fold(WORKDAYS, acting("03-06"), None)) == day("2026-03-09")


def test_a_day_off_on_which_the_user_acts_counts() -> None:
    assert fold(WORKDAYS, acting("03-06", "03-07", "03-09"), None).length == 3
    assert expires_on(WORKDAYS, fold(WORKDAYS, acting("03-07"), None)) == day("2026-03-09")
    assert fold(WORKDAYS, acting("03-06", "03-10"), None).length == 1


def test_west_over_the_date_line_the_earlier_day_counts_for_nothing() -> None:
    """And the streak goes on when the later day is back."""
    events = acting("03-03", "03-04")
    back = StreakEvent(events[-1].occurred_at + HOUR, 9, LAPS, MICROS, start_of(day("2026-03-03")))
    on = StreakEvent(events[-1].occurred_at + DAY, 10, LAPS, MICROS, start_of(day("2026-03-05")))

    assert fold(DAILY, [*events, back], None) == fold(DAILY, events, None)
    assert fold(DAILY, [*events, back, on], None).length == 3


def test_sums_stay_within_what_can_be_written_down() -> None:
    """A sum may leave the range where no lifetime total does."""
    settings = StreakSettings(metrics=((LAPS, MICROS),))
    begin = start_of(day("2026-03-04"))
    events = [StreakEvent(begin + place, place, LAPS, amount, begin) for place, amount in enumerate([LEAST, LEAST])]

    state = fold(settings, events, None)

    assert decode(encode(state)) == state
    assert state.length == 0


# What is alive


@pytest.mark.parametrize(
    ("tz", "breaks"),
    [
        (None, "2026-03-06T00:00:00.000Z"),
        ("Asia/Tokyo", "2026-03-05T15:00:00.000Z"),
        ("America/New_York", "2026-03-06T05:00:00.000Z"),
    ],
)
def test_a_streak_breaks_at_the_local_midnight_behind_its_last_day(tz: str | None, breaks: str) -> None:
    state = fold(DAILY, acting("03-03", "03-04"), tz)
    over = state.breaks_at

    assert over is not None
    assert format_instant(over) == breaks
    assert at(state, over - 1) is state
    assert at(state, over) == Streak(longest=2, longest_at=state.longest_at)


def test_who_travels_takes_the_last_day_along() -> None:
    """West there is more time, which may even bring a streak back; in the same zone nothing changes."""
    home = fold(DAILY, acting("03-03", "03-04"), "Asia/Tokyo")
    away = in_zone(DAILY, home, "Pacific/Honolulu")

    assert away.breaks_at == instant("2026-03-06T10:00:00Z")
    assert away.length == home.length
    assert in_zone(DAILY, away, "Pacific/Honolulu") is away
    assert in_zone(DAILY, away, "Asia/Tokyo") == home


def test_a_night_with_a_change_of_the_clock_is_as_long_as_it_is() -> None:
    state = fold(DAILY, acting("03-07"), "America/New_York")

    assert state.breaks_at == instant("2026-03-09T04:00:00Z")


def test_who_never_acted_has_nothing_to_lose() -> None:
    assert in_zone(DAILY, blank(DAILY), "Asia/Tokyo") == blank(DAILY)
    assert expires_on(DAILY, blank(DAILY)) is None
    assert counted_period(DAILY, blank(DAILY)) is None
    assert at(blank(DAILY), 0) == blank(DAILY)


@pytest.mark.parametrize("settings", [DAILY, WEEKLY, MONTHLY, WORKDAYS])
def test_at_the_end_of_the_calendar_a_streak_expires_with_it(settings: StreakSettings) -> None:
    last = day("9999-12-31")
    state = fold(settings, [StreakEvent(start_of(last), 1, LAPS, 1, start_of(last))], None)

    assert expires_on(settings, state) == last
    assert at(state, start_of(last) + DAY - 1).length == 1


# The past


def test_history_tells_the_length_at_the_end_of_each_period() -> None:
    """Today, which has not counted yet, still shows what there is to lose."""
    periods = counted_periods(DAILY, acting("03-01", "03-03", "03-04"))

    assert history(DAILY, periods, day("2026-03-05"), 6) == [
        PeriodLength(day(text), day(text), length)
        for text, length in [
            ("2026-02-28", 0),
            ("2026-03-01", 1),
            ("2026-03-02", 0),
            ("2026-03-03", 1),
            ("2026-03-04", 2),
            ("2026-03-05", 2),
        ]
    ]
    assert [one.length for one in history(DAILY, periods, day("2026-03-06"), 3)] == [2, 0, 0]


def test_history_carries_the_length_over_missed_days_off() -> None:
    """6 March is a Friday."""
    periods = counted_periods(WORKDAYS, acting("03-05", "03-06"))

    assert [one.length for one in history(WORKDAYS, periods, day("2026-03-10"), 6)] == [1, 2, 2, 2, 0, 0]
    assert [one.length for one in history(WORKDAYS, periods, day("2026-03-09"), 3)] == [2, 2, 2]


def test_history_begins_with_the_calendar() -> None:
    assert len(history(WEEKLY, [], day("0001-01-10"), 7)) == 2


# Against the slow definition


STEPS = st.tuples(
    st.integers(0, 60), st.sampled_from([LAPS, HOURS, 3]), st.integers(-2, 4), st.sampled_from(ZONES)
)  # hours since the last event, metric, amount, zone
DAYS_OFF = st.sets(st.integers(0, 6), max_size=6).map(sorted).map(tuple)
METRICS = st.sampled_from(
    [(), ((LAPS, 2 * MICROS),), ((LAPS, 3 * MICROS), (HOURS, MICROS)), ((HOURS, MICROS), (LAPS, MICROS))]
)


@st.composite
def all_settings(draw: st.DrawFn) -> StreakSettings:
    frequency = draw(st.sampled_from(PERIODS))
    days_off = draw(DAYS_OFF) if frequency == "daily" else ()
    mode: Any = draw(st.sampled_from(["OR", "AND"]))
    return StreakSettings(frequency, mode, draw(METRICS), days_off)


@st.composite
def stories(draw: st.DrawFn, *, travels: bool = True) -> list[StreakEvent]:
    """Events in order; the years that begin them have a change of the clock near by."""
    first = draw(st.dates(date(2025, 12, 20), date(2026, 4, 20)))
    instant = start_of(first.toordinal())
    steps = draw(st.lists(STEPS, max_size=25))
    stretch = draw(st.sampled_from([1, 1, 7, 20]))
    home = draw(st.sampled_from(ZONES))
    events = []
    for position, (hours, metric, amount, tz) in enumerate(steps):
        instant += hours * stretch * HOUR
        local = local_at(instant, tz if travels else home)
        events.append(StreakEvent(instant, position, metric, amount * MICROS, local))
    return events


def told(state: Streak, now: int) -> slow_streaks.Shown:
    alive = at(state, now)
    return slow_streaks.Shown(alive.length, alive.started, alive.extended_on, alive.extended_at)


@given(all_settings(), stories(), st.integers(0, 90 * 24), st.sampled_from(ZONES))
def test_a_fold_is_what_the_slow_way_finds(
    settings: StreakSettings, events: list[StreakEvent], hours: int, tz: str | None
) -> None:
    now = (events[-1].occurred_at if events else 0) + hours * HOUR
    state = fold(settings, events, tz)

    assert told(state, now) == shown(settings, events, now, tz)
    assert (state.longest, state.longest_at) == slow_streaks.longest(settings, events)
    assert decode(encode(state)) == state


@given(all_settings(), stories(), st.randoms(use_true_random=False))
def test_any_order_of_arrival_makes_the_same(settings: StreakSettings, events: list[StreakEvent], chance: Any) -> None:
    """Each event is taken by a step where that is allowed, and else by a fold of all there are."""
    arrivals = list(events)
    chance.shuffle(arrivals)
    state = blank(settings)
    known: list[StreakEvent] = []
    for event in arrivals:
        known.append(event)
        if in_order(state, event.occurred_at) and is_new_of_its_instant(event, known):
            state = step(settings, state, event, "Asia/Kathmandu")
        else:
            state = fold(settings, sorted(known), "Asia/Kathmandu")

    assert state == fold(settings, events, "Asia/Kathmandu")


def is_new_of_its_instant(event: StreakEvent, known: Sequence[StreakEvent]) -> bool:
    """Positions are given on arrival, so in truth no later one of the same instant is known before."""
    return all(other.occurred_at != event.occurred_at or other.position <= event.position for other in known)


@given(all_settings(), stories(travels=False), st.integers(0, 60), st.integers(1, 30))
def test_history_is_what_the_slow_way_finds(
    settings: StreakSettings, events: list[StreakEvent], days: int, periods: int
) -> None:
    today = day_of(events[-1].local_at if events else 0) + days
    counted = counted_periods(settings, events)

    assert history(settings, counted, today, periods) == slow_streaks.lengths(settings, events, today, periods)


@given(all_settings(), stories(), st.sampled_from(ZONES))
def test_a_streak_is_alive_until_the_instant_at_which_it_breaks(
    settings: StreakSettings, events: list[StreakEvent], tz: str | None
) -> None:
    state = fold(settings, events, tz)
    over = state.breaks_at
    expires = expires_on(settings, state)

    if over is None or expires is None:
        assert state.length == 0
    else:
        assert day_of(local_at(over - 1, tz)) <= expires < day_of(local_at(over, tz))
        assert timedelta(microseconds=over) % timedelta(minutes=15) == timedelta(0)

"""Runs tile time: every day, and every instant in every zone, has exactly one run."""

from datetime import UTC, date, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from palmares.domain.changes import Plan
from palmares.domain.local_time import DAY, HOUR, day_of, from_datetime, local_at, start_of, to_datetime
from palmares.domain.run import Run, RunUnit, Schedule, closes_at, opens_at
from tests.world import day, make_board

# Zones that leave out or repeat days, change by half an hour, sit at the ends of the earth, or change at midnight.
ODD_ZONES = [
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Pacific/Kwajalein",
    "Pacific/Enderbury",
    "Etc/GMT+12",
    "Etc/GMT-14",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Antarctica/Troll",
]
zones = st.one_of(st.sampled_from(ODD_ZONES), st.sampled_from(sorted(available_timezones() - {"localtime"})))
days = st.one_of(
    st.dates(date(1960, 1, 1), date(2060, 1, 1)),
    st.builds(lambda year, month: date(year, month, 31), st.integers(1960, 2060), st.sampled_from([1, 3, 8, 12])),
    st.builds(lambda year: date(year * 4, 2, 29), st.integers(490, 515)),
).map(date.toordinal)
schedules = st.builds(
    lambda start, length, unit, interval: Schedule(start, None if length is None else start + length, unit, interval),
    start=days,
    length=st.one_of(st.none(), st.integers(0, 900)),
    unit=st.sampled_from([*get_args(RunUnit), None]),
    interval=st.one_of(st.integers(1, 4), st.integers(1, 400)),
)
instants = st.integers(from_datetime(datetime(1970, 1, 2, tzinfo=UTC)), from_datetime(datetime(2059, 1, 1, tzinfo=UTC)))


def start_of_run(first: date, unit: str, number: int) -> date:
    """The first day of run `number` as one would count it on a paper calendar, months by months."""
    if unit == "day":
        return first + timedelta(days=number)
    year, month = first.year, first.month
    for _ in range(number * (12 if unit == "year" else 1)):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    for last in (31, 30, 29, 28):
        try:
            return date(year, month, min(first.day, last))
        except ValueError:
            continue
    raise AssertionError


@given(schedules)
@example(Schedule(day("2024-01-31"), None, "month", 1))
@example(Schedule(day("2024-02-29"), day("2025-03-01"), "year", 1))
def test_runs_tile_the_days_of_a_board(schedule: Schedule) -> None:
    """Each day from the first to the last lies in exactly one run, and runs adjoin."""
    last = schedule.end if schedule.end is not None else schedule.start + 900
    expected_start = schedule.start
    for one in range(schedule.start, last + 1):
        run = schedule.run_at(one)
        assert run is not None
        if run.end is not None and one == run.end:
            assert run.start == expected_start
            expected_start = run.end + 1
        assert run.start == expected_start or one == run.end
        assert run.start <= one
        assert run.end is None or one <= run.end
    assert schedule.run_at(schedule.start - 1) is None
    assert schedule.end is None or schedule.run_at(schedule.end + 1) is None


@given(schedules, st.integers(0, 60))
def test_runs_begin_where_the_calendar_says(schedule: Schedule, number: int) -> None:
    """Months and years are counted from the first day of the board."""
    if schedule.unit is None:
        assert schedule.run_at(schedule.start) == Run(schedule.start, schedule.end)
        return
    first, interval = date.fromordinal(schedule.start), min(schedule.interval, 40)
    schedule = Schedule(schedule.start, None, schedule.unit, interval)
    begins = start_of_run(first, schedule.unit or "", number * interval).toordinal()
    following = start_of_run(first, schedule.unit or "", (number + 1) * interval).toordinal()
    assert schedule.run_at(begins) == schedule.run_at(following - 1) == Run(begins, following - 1)


@given(schedules)
def test_the_last_run_is_that_of_the_last_day(schedule: Schedule) -> None:
    """A board that stays open has none."""
    last = schedule.last_run()
    assert last == (None if schedule.end is None else schedule.run_at(schedule.end))
    assert last is None or last.end == schedule.end


def test_runs_reach_the_end_of_the_calendar() -> None:
    """The last run that has begun stays open where the calendar ends."""
    for unit in get_args(RunUnit):
        schedule = Schedule(day("2026-01-31"), None, unit, 7)
        run = schedule.run_at(date.max.toordinal())
        assert run is not None
        assert run.end is None or run.end >= date.max.toordinal()


@given(instants, zones)
def test_local_time_is_what_the_wall_clock_shows(instant: int, tz: str) -> None:
    """Whatever the zone has done to its clocks."""
    shown = to_datetime(instant).astimezone(ZoneInfo(tz))
    assert local_at(instant, tz) == from_datetime(shown.replace(tzinfo=UTC))
    assert day_of(local_at(instant, tz)) == shown.date().toordinal()


@given(schedules, instants, zones)
def test_every_instant_has_one_run_in_every_zone(schedule: Schedule, instant: int, tz: str) -> None:
    """That of the local date, and the run is open somewhere on earth at that instant."""
    board = make_board(
        start=schedule.start,
        end=schedule.end,
        run_unit=schedule.unit,
        run_interval=None if schedule.unit is None else schedule.interval,
    )
    local = local_at(instant, tz)
    run = Plan(board).run_at(local)
    assert run == schedule.run_at(day_of(local))
    inside = schedule.start <= day_of(local) and (schedule.end is None or day_of(local) <= schedule.end)
    assert (run is not None) == inside
    if run is not None:
        assert opens_at(run.start) <= instant
        assert run.end is None or instant < closes_at(run.end)


@pytest.mark.parametrize(
    ("tz", "around", "hours"),
    [
        ("America/New_York", "2026-03-08", {"2026-03-07": 24, "2026-03-08": 23, "2026-03-09": 24}),
        ("America/New_York", "2026-11-01", {"2026-10-31": 24, "2026-11-01": 25, "2026-11-02": 24}),
        ("Pacific/Apia", "2011-12-30", {"2011-12-29": 24, "2011-12-31": 24}),
        ("Pacific/Kwajalein", "1993-08-21", {"1993-08-20": 24, "1993-08-22": 24}),
        ("Pacific/Kiritimati", "1994-12-31", {"1994-12-30": 24, "1995-01-01": 24}),
        ("America/Sao_Paulo", "2018-11-04", {"2018-11-03": 24, "2018-11-04": 23, "2018-11-05": 24}),
        ("Etc/GMT+12", "2026-03-04", {"2026-03-03": 24, "2026-03-04": 24, "2026-03-05": 24}),
    ],
)
def test_days_are_as_long_as_the_zone_makes_them(tz: str, around: str, hours: dict[str, int]) -> None:
    """Also those of 23 and 25 hours and those that a zone has left out; each hour is in one daily run, in order."""
    plan = Plan(make_board(start=day("1990-01-01"), run_unit="day", run_interval=1))
    middle = start_of(day(around))
    runs = [plan.run_at(local_at(instant, tz)) for instant in range(middle - 4 * DAY, middle + 4 * DAY, HOUR)]
    starts = [run.start for run in runs if run is not None]
    assert len(starts) == len(runs)
    assert starts == sorted(starts)
    assert {one: starts.count(day(one)) for one in hours} == hours
    left_out = set(range(day(around) - 1, day(around) + 2)) - {day(one) for one in hours}
    assert not left_out & set(starts)

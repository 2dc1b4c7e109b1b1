"""When runs are told: the instants, and which runs are due by one."""

from datetime import date
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from palmares.domain.local_time import format_instant, parse_day, parse_instant
from palmares.domain.run import Run, Schedule
from palmares.domain.run_calendar import before, end_told_at, following, newest_open, newest_told, start_told_at

FIRST = date(2026, 1, 31).toordinal()
SCHEDULES = st.builds(
    Schedule,
    st.just(FIRST),
    st.one_of(st.none(), st.integers(FIRST, FIRST + 200)),
    st.sampled_from(["day", "month", "year", None]),
    st.integers(1, 9),
)
NOWS = st.integers(parse_instant("2026-01-01T00:00:00Z", "first"), parse_instant("2026-12-31T00:00:00Z", "last"))


def runs(schedule: Schedule) -> list[Run]:
    """All runs up to some day behind those that are looked at."""
    found, run = [], schedule.run_at(FIRST)
    while run is not None and run.start < FIRST + 400:
        found.append(run)
        run = None if run.end is None else schedule.run_at(run.end + 1)
    return found


def day(text: str) -> int:
    return parse_day(text, "day")


def test_a_run_is_told_ten_hours_into_the_day_before_it_and_thirteen_into_the_day_after() -> None:
    """The instants of the contract."""
    run = Run(day("2026-03-02"), day("2026-03-08"))

    assert format_instant(start_told_at(run)) == "2026-03-01T10:00:00.000Z"
    assert format_instant(end_told_at(run) or 0) == "2026-03-09T13:00:00.000Z"


def test_the_end_of_an_open_run_is_never_told() -> None:
    """There is none."""
    assert end_told_at(Run(day("2026-03-02"), None)) is None


@given(SCHEDULES, NOWS)
def test_the_newest_open_run_is_the_last_whose_beginning_is_due(schedule: Schedule, now: int) -> None:
    """Compared with a look at all of them."""
    due = [run for run in runs(schedule) if start_told_at(run) <= now]

    assert newest_open(schedule, now) == (due[-1] if due else None)


@given(SCHEDULES, NOWS)
def test_the_newest_told_run_is_the_last_whose_end_is_due(schedule: Schedule, now: int) -> None:
    """Compared with a look at all of them."""
    due = [run for run in runs(schedule) if (at := end_told_at(run)) is not None and at <= now]

    assert newest_told(schedule, now) == (due[-1] if due else None)


@given(SCHEDULES)
def test_runs_follow_each_other(schedule: Schedule) -> None:
    """From the first to the last, and back."""
    whole = runs(schedule)

    assert following(schedule, None) == whole[0]
    for one, next_one in pairwise(whole):
        assert following(schedule, one.start) == next_one
        assert before(schedule, next_one) == one
    assert before(schedule, whole[0]) is None
    if schedule.end is not None and schedule.end < FIRST + 400:
        assert following(schedule, whole[-1].start) is None

"""What a streak is worth on a board, and when its user leaves the board."""

from palmares.domain.local_time import HOUR, parse_instant, start_of
from palmares.domain.run import Run
from palmares.domain.streak import Streak, StreakEvent, blank, fold
from palmares.domain.streak_board import concerns_run, leaves_at, value_in
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.tally import Tally
from palmares.domain.value import MICROS
from tests.world import day

DAILY = StreakSettings()
MARCH = Run(day("2026-03-01"), day("2026-03-31"))
OPEN = Run(day("2026-03-01"), None)


def instant(text: str) -> int:
    return parse_instant(f"2026-{text}:00Z", "at")


def acting(*days: str, tz: str | None = None) -> Streak:
    """The streak of acting at noon UTC of days such as 03-04."""
    instants = [start_of(day(f"2026-{text}")) + 12 * HOUR for text in days]
    return fold(DAILY, [StreakEvent(at, place, 1, MICROS, at) for place, at in enumerate(instants)], tz)


def test_the_value_is_the_length_reached_at_the_last_extension() -> None:
    state = acting("03-03", "03-04")

    assert value_in(DAILY, state, MARCH, instant("03-04T13:00")) == Tally(2 * MICROS, instant("03-04T12:00"))


def test_a_streak_from_before_the_run_counts_whole_once_it_is_extended_in_it() -> None:
    before, after = acting("02-27", "02-28"), acting("02-27", "02-28", "03-01")

    assert value_in(DAILY, before, MARCH, instant("03-01T12:00")) is None
    assert value_in(DAILY, after, MARCH, instant("03-01T12:00")) == Tally(3 * MICROS, instant("03-01T12:00"))


def test_who_never_acted_takes_no_part() -> None:
    assert value_in(DAILY, blank(DAILY), OPEN, 0) is None
    assert leaves_at(DAILY, blank(DAILY), OPEN) is None


def test_who_breaks_the_streak_leaves_at_local_midnight() -> None:
    state = acting("03-04", tz="Asia/Tokyo")
    leaving = leaves_at(DAILY, state, MARCH)

    assert leaving == leaves_at(DAILY, state, OPEN) == instant("03-05T15:00")
    assert leaving is not None
    assert value_in(DAILY, state, MARCH, leaving - 1) is not None
    assert value_in(DAILY, state, MARCH, leaving) is None


def test_a_streak_that_breaks_with_the_runs_last_day_or_later_stays() -> None:
    """On the last day there still was time to act."""
    assert leaves_at(DAILY, acting("03-29"), MARCH) == instant("03-31T00:00")
    assert leaves_at(DAILY, acting("03-30"), MARCH) is None
    assert leaves_at(DAILY, acting("03-31"), MARCH) is None
    assert value_in(DAILY, acting("03-30"), MARCH, instant("04-05T00:00")) is not None


def test_events_of_every_day_up_to_the_last_concern_a_run() -> None:
    assert concerns_run(MARCH, instant("01-01T00:00"))
    assert concerns_run(MARCH, instant("03-31T23:59"))
    assert not concerns_run(MARCH, instant("04-01T00:00"))
    assert concerns_run(OPEN, instant("12-31T00:00"))

"""When an event takes effect in a run, and which come late."""

from typing import get_args

import pytest

from palmares.domain.board import LateEvents
from palmares.domain.effect import (
    BOUNDARY_STEP,
    changes_past_days,
    changes_what_is_over,
    effect_at,
    ends_day,
    final_at,
    is_late,
    is_live,
    last_boundary,
    next_boundary,
    void_effect_at,
)
from palmares.domain.local_time import DAY, parse_day, parse_instant, start_of
from palmares.domain.run import Run
from palmares.domain.value import MOST


def instant(text: str) -> int:
    """The instant of `03-09T12:00:00` in UTC, in 2026."""
    return parse_instant(f"2026-{text}Z", "instant")


def day(text: str) -> int:
    return parse_day(f"2026-{text}", "day")


WEEK = Run(day("03-02"), day("03-08"))
OPEN = Run(day("03-02"), None)
FINAL = instant("03-09T12:00:00")
EVERY_CHOICE = pytest.mark.parametrize("late_events", get_args(LateEvents))


def test_a_run_is_final_at_noon_utc_on_the_day_after_its_last() -> None:
    """When its last day is over in the latest zone; one without end never is."""
    assert final_at(WEEK) == FINAL
    assert final_at(OPEN) == MOST


def test_a_run_is_live_until_it_is_final() -> None:
    """Also before it begins; one without end always is."""
    assert [is_live(WEEK, at) for at in (0, FINAL - 1, FINAL, FINAL + 1)] == [True, True, False, False]
    assert is_live(OPEN, FINAL)


@EVERY_CHOICE
def test_an_event_takes_effect_when_it_is_recorded(late_events: LateEvents) -> None:
    """Whenever it happened, as long as its run is not final."""
    for recorded_at in (instant("03-04T10:00:00"), FINAL - 1):
        assert effect_at(WEEK, late_events, recorded_at, instant("03-03T10:00:00"), False) == recorded_at
        assert not is_late(WEEK, recorded_at)


def test_a_late_event_takes_no_effect_or_that_of_the_last_moment() -> None:
    """As the board chooses; the first instant that is too late is the one at which the run is final."""
    for recorded_at in (FINAL, FINAL + 400 * DAY):
        assert is_late(WEEK, recorded_at)
        assert effect_at(WEEK, "ignore", recorded_at, FINAL - DAY, False) is None
        assert effect_at(WEEK, "revise", recorded_at, FINAL - DAY, False) == FINAL - 1


@EVERY_CHOICE
def test_history_takes_effect_when_it_happened(late_events: LateEvents) -> None:
    """Also in a run that was not final when it was recorded, and in the last moment of one that was."""
    for recorded_at in (instant("03-05T10:00:00"), FINAL, FINAL + 400 * DAY):
        for occurred_at in (instant("03-04T10:00:00"), FINAL - 1):
            assert effect_at(WEEK, late_events, recorded_at, occurred_at, True) == occurred_at


@EVERY_CHOICE
def test_nothing_is_late_in_a_run_without_end(late_events: LateEvents) -> None:
    """It takes effect when it is recorded, for ever."""
    recorded_at = instant("03-04T10:00:00") + 10_000 * DAY
    assert not is_late(OPEN, recorded_at)
    assert effect_at(OPEN, late_events, recorded_at, recorded_at - DAY, False) == recorded_at


def test_only_history_of_an_earlier_day_changes_past_days() -> None:
    """Days are those of UTC: a second before midnight is yesterday."""
    midnight = start_of(day("03-05"))
    assert changes_past_days(midnight, midnight - 1, True)
    assert not changes_past_days(midnight + DAY - 1, midnight, True)
    assert not changes_past_days(midnight, midnight - 1, False)


@pytest.mark.parametrize(
    ("text", "last", "following"),
    [
        ("03-09T00:00:00", "03-09T00:00:00", "03-09T12:00:00"),
        ("03-09T00:00:00.000001", "03-09T00:00:00", "03-09T12:00:00"),
        ("03-09T11:59:59.999999", "03-09T00:00:00", "03-09T12:00:00"),
        ("03-09T12:00:00", "03-09T12:00:00", "03-10T00:00:00"),
        ("03-09T23:59:59.999999", "03-09T12:00:00", "03-10T00:00:00"),
    ],
)
def test_something_may_end_at_midnight_and_at_noon(text: str, last: str, following: str) -> None:
    """The next such instant lies ahead, the last one does not."""
    assert last_boundary(instant(text)) == instant(last)
    assert next_boundary(instant(text)) == instant(following)


def test_days_end_at_every_other_boundary() -> None:
    """Runs are final at those in between."""
    assert ends_day(instant("03-09T00:00:00"))
    assert not ends_day(FINAL)
    assert FINAL % BOUNDARY_STEP == 0


def test_the_grid_goes_on_before_the_epoch() -> None:
    """Imports may reach back so far."""
    assert (last_boundary(-1), next_boundary(-1)) == (-BOUNDARY_STEP, 0)
    assert ends_day(-DAY)


@EVERY_CHOICE
def test_a_void_takes_effect_when_its_event_did_while_the_run_is_live(late_events: LateEvents) -> None:
    """However much later it comes; where the event has no effect, neither has the void."""
    for voided_at in (instant("03-04T12:00:00"), FINAL - 1):
        assert void_effect_at(WEEK, late_events, instant("03-03T12:00:00"), voided_at) == instant("03-03T12:00:00")
        assert void_effect_at(WEEK, late_events, None, voided_at) is None


@pytest.mark.parametrize(("late_events", "taken"), [("ignore", False), ("revise", True)])
def test_a_void_is_late_once_the_run_is_final(late_events: LateEvents, taken: bool) -> None:
    """As an event would be."""
    effect = instant("03-03T12:00:00")
    assert void_effect_at(WEEK, late_events, effect, FINAL) == (effect if taken else None)
    assert void_effect_at(WEEK, late_events, None, FINAL) is None


def test_what_is_over_changes_in_a_final_run_or_on_a_past_day() -> None:
    """By the UTC day of the effect."""
    effect = instant("03-03T23:59:59")
    assert not changes_what_is_over(WEEK, effect, instant("03-03T23:59:59"))
    assert changes_what_is_over(WEEK, effect, instant("03-04T00:00:00"))
    assert changes_what_is_over(WEEK, FINAL - 1, FINAL)
    assert not changes_what_is_over(OPEN, FINAL - 1, FINAL)

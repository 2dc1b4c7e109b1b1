"""Boards: what fits together, and the status that follows from the clock."""

from dataclasses import replace
from typing import Any

import pytest

from palmares.domain.board import MOST, Board, check
from palmares.domain.errors import Invalid
from palmares.domain.local_time import parse_instant
from palmares.domain.run import Run
from tests.world import LEVEL, POOL, day, make_board, make_system

BOARD = make_board(start=day("2026-03-02"), end=day("2026-03-08"))


@pytest.mark.parametrize(
    ("now", "status"),
    [
        ("2026-03-01T09:59:59.999999Z", "scheduled"),
        ("2026-03-01T10:00:00Z", "active"),
        ("2026-03-09T11:59:59.999999Z", "active"),
        ("2026-03-09T12:00:00Z", "finished"),
    ],
)
def test_an_active_board_opens_and_ends_by_itself(now: str, status: str) -> None:
    """At the first instant of its days anywhere on earth, and behind the last."""
    assert BOARD.status_at(parse_instant(now, "now")) == status


@pytest.mark.parametrize("asked", ["inactive", "finished"])
@pytest.mark.parametrize("now", ["2026-02-01T00:00:00Z", "2026-03-04T00:00:00Z", "2026-04-01T00:00:00Z"])
def test_a_board_that_is_not_asked_to_be_active_stays_what_it_is(asked: Any, now: str) -> None:
    """Whatever the date."""
    assert replace(BOARD, asked_status=asked).status_at(parse_instant(now, "now")) == asked


def test_a_board_without_end_stays_active() -> None:
    """Nothing ends it but a hand."""
    assert replace(BOARD, end=None).status_at(parse_instant("2999-01-01T00:00:00Z", "now")) == "active"


def test_the_current_run_is_that_of_today() -> None:
    """The last one after the end, none before the start."""
    weekly = replace(BOARD, run_unit="day", run_interval=3)
    assert weekly.current_run(day("2026-03-06")) == Run(day("2026-03-05"), day("2026-03-07"))
    assert weekly.current_run(day("2026-04-01")) == Run(day("2026-03-08"), day("2026-03-08"))
    assert weekly.current_run(day("2026-03-01")) is None


def test_a_good_board_is_given_back() -> None:
    """As it is."""
    assert check(BOARD) is BOARD
    streaks = make_board(rank_by="streak", metric=None)
    assert check(streaks) is streaks


BAD: dict[str, dict[str, Any]] = {
    "metricId": {"metric": None},
    "pointsSystemId": {"points_system": make_system().counter},
    "end": {"end": day("2026-03-01")},
    "runInterval": {"run_unit": "day"},
    "runInterval ": {"run_interval": 1},
    "runInterval  ": {"run_unit": "day", "run_interval": 0},
    "runUnit": {"rank_by": "streak", "metric": None, "run_unit": "day", "run_interval": 1},
    "startTime": {"start_time": "10:00", "end_time": "10:00"},
    "startTime ": {"start_time": "10:00:01", "end_time": "10:00"},
    "startTime  ": {"start_time": "25:00"},
    "endTime": {"end_time": "00:60"},
    "maxParticipants": {"max_participants": 0},
    "maxParticipants ": {"max_participants": MOST + 1},
    "breakdownAttributes": {"breakdown": (POOL, POOL)},
    "userAttributes": {"filters": ((LEVEL, "a"), (LEVEL, "b"))},
    "name": {"name": " "},
    "key": {"key": "a b"},
    "description": {"description": "nul\0"},
    "pointsSystemId ": {"rank_by": "points", "metric": None},
    "metricId ": {"rank_by": "points", "points_system": make_system().counter},
}


@pytest.mark.parametrize("field", BAD)
def test_what_does_not_fit_together_is_refused_by_its_name_on_the_wire(field: str) -> None:
    """One field, one sentence."""
    with pytest.raises(Invalid, match=rf"^{field.strip()}: "):
        check(replace(BOARD, **BAD[field]))


@pytest.mark.parametrize(
    "fields",
    [
        {"start_time": "00:00", "end_time": "00:00:01"},
        {"end_time": "23:59:59"},
        {"max_participants": None},
        {"max_participants": MOST},
        {"end": BOARD.start},
        {"run_unit": "year", "run_interval": MOST},
        {"breakdown": (POOL, LEVEL), "filters": ((POOL, "east"),)},
    ],
)
def test_the_edges_of_what_fits_are_accepted(fields: dict[str, Any]) -> None:
    """They are inside."""
    made: Board = replace(BOARD, **fields)
    assert check(made) is made

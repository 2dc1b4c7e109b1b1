"""Plans: which run an event falls in, and who moves where."""

from typing import Any

import pytest

from palmares.domain.board import Board
from palmares.domain.changes import Move, Plan, moves, threshold
from palmares.domain.local_time import HOUR, SECOND, parse_instant, start_of
from palmares.domain.run import Run
from palmares.domain.value import MICROS
from tests.world import LEVEL, POOL, day, make_board

WEEKLY = make_board(run_unit="day", run_interval=7, end=day("2026-03-20"))


def test_the_run_of_a_local_time_is_that_of_its_day() -> None:
    """Asked once or again."""
    plan = Plan(WEEKLY)
    for _ in range(2):
        assert plan.run_at(start_of(day("2026-03-09")) - 1) == Run(day("2026-03-02"), day("2026-03-08"))
        assert plan.run_at(start_of(day("2026-03-09"))) == Run(day("2026-03-09"), day("2026-03-15"))
        assert plan.run_at(start_of(day("2026-03-02")) - 1) is None
        assert plan.run_at(start_of(day("2026-03-21"))) is None


def test_only_so_many_days_are_remembered() -> None:
    """Imports over centuries must not fill the memory; what is forgotten is worked out again."""
    plan = Plan(make_board(start=day("1900-01-01"), run_unit="day", run_interval=1))
    for one in range(day("1900-01-01"), day("1900-01-01") + 10_000):
        assert plan.run_at(start_of(one)) == Run(one, one)
    assert len(plan._runs) <= 4096
    assert plan.run_at(start_of(day("1900-01-01"))) == Run(day("1900-01-01"), day("1900-01-01"))


@pytest.mark.parametrize(
    ("second", "inside"), [(9 * 3600 - 1, False), (9 * 3600, True), (17 * 3600 - 1, True), (17 * 3600, False)]
)
def test_the_daily_window_is_half_open(second: int, inside: bool) -> None:
    """From its start up to, and without, its end."""
    plan = Plan(make_board(start_time="09:00", end_time="17:00"))
    local = start_of(day("2026-03-04")) + second * SECOND
    assert (plan.run_at(local) is not None) == inside
    assert (plan.run_at(local + SECOND - 1) is not None) == inside


@pytest.mark.parametrize("fields", [{}, {"end": None}, {"asked_status": "inactive"}, {"asked_status": "finished"}])
def test_a_plan_is_active_when_its_board_is(fields: dict[str, Any]) -> None:
    """The same answer, faster."""
    board = make_board(**{"end": day("2026-03-08")} | fields)
    first = parse_instant("2026-02-28T00:00:00Z", "at")
    for now in range(first, first + 12 * 24 * HOUR, HOUR):
        assert Plan(board).active_at(now) == (board.status_at(now) == "active")


def plans(**fields: Any) -> list[Plan]:
    return [Plan(make_board(1, "all")), Plan(make_board(2, "pools", breakdown=(POOL,))), Plan(make_board(3, **fields))]


def test_a_change_moves_its_user_on_the_boards_that_look_at_it() -> None:
    """And on no other."""
    everybody, pools, pros = plans(filters=((LEVEL, "pro"),))
    found = moves([everybody, pools, pros], {"pool": "east"}, {"pool": "west"})
    assert found == [Move(pools, ("east",), ("west",))]
    found = moves([everybody, pools, pros], {"pool": "east"}, {"pool": "east", "level": "pro"})
    assert found == [Move(pros, None, ())]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"pool": "east"}, [(None, ("east",))]),
        ({"pool": "east"}, {}, [(("east",), None)]),
        ({"pool": "east"}, {"pool": "east"}, []),
        ({"pool": "east"}, {"pool": "east", "other": "x"}, []),
        ({}, {}, []),
    ],
)
def test_joining_and_leaving_are_moves_from_and_to_nowhere(
    before: dict[str, str], after: dict[str, str], expected: list[Any]
) -> None:
    """A change that leads nowhere else is none."""
    _, pools, _ = plans()
    assert [move[1:] for move in moves([pools], before, after)] == expected


def test_one_who_never_took_part_does_not_move() -> None:
    """From nowhere to nowhere."""
    pros = Plan(make_board(filters=((LEVEL, "pro"),), breakdown=(POOL,)))
    assert moves([pros], {"pool": "east"}, {"pool": "west"}) == []


@pytest.mark.parametrize(
    ("cap", "size", "lowest", "expected"),
    [
        (None, 10, 5 * MICROS, 0),
        (3, 2, 5 * MICROS, 0),
        (3, 3, 5 * MICROS, 5),
        (3, 4, 2_500_000, 3),
        (3, 3, -2_500_000, -2),
    ],
)
def test_the_threshold_is_shown_while_the_group_is_full(cap: int | None, size: int, lowest: int, expected: int) -> None:
    """Rounded like every value."""
    board: Board = make_board(max_participants=cap)
    assert threshold(board, size, lowest) == expected

"""Events that come later than they happened: the outcome is that of the order in which they happened."""

from itertools import permutations
from typing import get_args

import pytest

from palmares.domain.board import Aggregation
from palmares.domain.value import MICROS
from tests.ledger_world import LedgerWorld, placed, swim
from tests.world import LEVEL, make_board

pytestmark = pytest.mark.anyio

AGGREGATIONS = get_args(Aggregation)
BOARDS = [make_board(number, key, aggregation=key) for number, key in enumerate(AGGREGATIONS, 1)]
# (minute, laps): a standstill, a return to zero, the same peak twice, and at the end a value that was there before.
HAPPENED = [(1, 2), (2, -2), (3, 0), (4, 3), (5, 3)]


def time(minute: int) -> str:
    return f"2026-03-04T11:{minute:02}:00Z"


async def test_any_order_of_arrival_gives_the_same_standings(world: LedgerWorld) -> None:
    """For all aggregations, times of ties included: each rival equals one order of arrival."""
    await world.follow(*BOARDS)
    arrivals = list(permutations(HAPPENED))[::7]
    for place, arrival in enumerate(arrivals):
        for minute, laps in arrival:
            await world.swim(f"user-{place:02}", laps, at=time(minute))
    for board in BOARDS:
        standings = await world.standings(board)
        assert len({standing.value for standing in standings}) == 1
        # Equal values reached at equal times are in the order of ids.
        assert [standing.user_id for standing in standings] == sorted(standing.user_id for standing in standings)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
async def test_the_time_of_the_value_is_when_it_happened(world: LedgerWorld, aggregation: str) -> None:
    """Between two with the same value, the one who reached it earlier stands higher, whoever's events came first."""
    board = make_board(aggregation=aggregation)
    await world.follow(board)
    await world.swim("later", 5, at=time(2))
    await world.swim("earlier", 5, at=time(1))
    assert await world.order(board) == ["earlier", "later"]


async def test_the_last_value_is_that_of_the_latest_time(world: LedgerWorld) -> None:
    """What comes late does not overwrite what happened after it."""
    board = make_board(aggregation="last")
    await world.follow(board)
    await world.swim("ann", 5, at=time(9))
    outcome = await world.swim("ann", 7, at=time(3))
    assert await world.standings(board) == [(1, "ann", 5 * MICROS)]
    assert outcome.total == 12 * MICROS


async def test_events_of_one_instant_are_in_the_order_of_the_log(world: LedgerWorld) -> None:
    """The last recorded is the last."""
    board = make_board(aggregation="last")
    await world.follow(board)
    await world.record(swim("ann", 5, at=time(1)), swim("ann", 6, at=time(1)))
    await world.swim("ann", 7, at=time(1))
    assert await world.standings(board) == [(1, "ann", 7 * MICROS)]


async def test_a_late_event_lands_in_the_run_in_which_it_happened(world: LedgerWorld) -> None:
    """Not in that of today, as long as the run is not final."""
    weekly = make_board(run_unit="day", run_interval=7)
    await world.follow(weekly)
    world.at("2026-03-09T11:59:59Z")
    await world.swim("ann", 1)
    outcome = await world.swim("ann", 5, at="2026-03-04T12:00:00Z")
    assert outcome.boards[0].run.start == weekly.start
    assert placed(outcome) == {weekly.key: (None, 1)}
    assert await world.standings(weekly, on="2026-03-09") == [(1, "ann", MICROS)]
    assert await world.standings(weekly, on="2026-03-04") == [(1, "ann", 5 * MICROS)]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
async def test_late_events_within_one_list(world: LedgerWorld, aggregation: str) -> None:
    """A list may be in any order too, and entries before in the list count like recorded ones."""
    board = make_board(aggregation=aggregation)
    await world.follow(board)
    await world.record(*(swim("listed", laps, at=time(minute)) for minute, laps in reversed(HAPPENED)))
    for minute, laps in HAPPENED:
        await world.swim("single", laps, at=time(minute))
    listed, single = await world.standings(board)
    assert (listed.user_id, single.user_id) == ("listed", "single")
    assert listed.value == single.value


async def test_late_events_are_the_same_after_a_restart(world: LedgerWorld) -> None:
    """What was recorded before the restart counts for what comes late behind it."""
    await world.follow(*BOARDS)
    for minute, laps in HAPPENED[1:4:2]:
        await world.swim("ann", laps, at=time(minute))
    await world.restart()
    for minute, laps in reversed(HAPPENED[::2]):
        await world.swim("ann", laps, at=time(minute))
    for minute, laps in HAPPENED:
        await world.swim("zoe", laps, at=time(minute))
    for board in BOARDS:
        ann, zoe = await world.standings(board)
        assert (ann.user_id, ann.value) == ("ann", zoe.value)


async def test_a_late_event_of_one_who_takes_no_part_counts_all_the_same(world: LedgerWorld) -> None:
    """The value is whole when the user joins."""
    board = make_board(aggregation="last", filters=((LEVEL, "pro"),))
    await world.follow(board)
    await world.swim("ann", 5, at=time(9))
    await world.swim("ann", 7, at=time(3))
    await world.change("ann", attributes={"level": "pro"})
    assert await world.standings(board) == [(1, "ann", 5 * MICROS)]


async def test_a_late_event_outside_the_daily_window_is_left_out(world: LedgerWorld) -> None:
    """Also when all events of the run have to be taken together again."""
    board = make_board(aggregation="last", start_time="09:00", end_time="13:00")
    await world.follow(board)
    await world.swim("ann", 5, at="2026-03-04T10:00:00Z")
    await world.swim("ann", 6, at="2026-03-04T08:00:00Z")
    await world.swim("ann", 7, at="2026-03-04T09:30:00Z")
    assert await world.standings(board) == [(1, "ann", 5 * MICROS)]

"""Who takes part, in which group, and what moves along."""

from dataclasses import replace

import pytest

from palmares.domain.value import MICROS
from tests.ledger_world import LedgerWorld, placed, swim
from tests.world import HOURS, LEVEL, POOL, make_board

pytestmark = pytest.mark.anyio

PROS = make_board(1, "pros", filters=((LEVEL, "pro"),))
POOLS = make_board(2, "pools", breakdown=(POOL,))
PRO_POOLS = make_board(3, "pro-pools", filters=((LEVEL, "pro"),), breakdown=(POOL,))
BOTH = make_board(4, "both", breakdown=(POOL, LEVEL))
EAST, WEST = ("east",), ("west",)


async def test_only_those_who_match_the_filter_take_part(world: LedgerWorld) -> None:
    """Every listed key needs the listed value."""
    await world.follow(PROS)
    await world.swim("ann", 3, attributes={"level": "pro"})
    await world.swim("bob", 5, attributes={"level": "amateur"})
    outcome = await world.swim("cat", 7)
    assert await world.order(PROS) == ["ann"]
    assert list(outcome.boards) == []
    assert await world.place(PROS, "bob") is None


async def test_several_filters_must_all_match(world: LedgerWorld) -> None:
    """One is not enough."""
    board = make_board(filters=((LEVEL, "pro"), (POOL, "east")))
    await world.follow(board)
    await world.swim("ann", 1, attributes={"level": "pro"})
    await world.swim("bob", 1, attributes={"pool": "east"})
    await world.swim("cat", 1, attributes={"level": "pro", "pool": "east"})
    assert await world.order(board) == ["cat"]


async def test_who_starts_to_match_joins_with_the_value_already_earned(world: LedgerWorld) -> None:
    """Values are kept of everybody, ranked or not."""
    await world.follow(PROS)
    await world.swim("ann", 3)
    await world.swim("ann", 4)
    await world.change("ann", attributes={"level": "pro"})
    assert await world.standings(PROS) == [(1, "ann", 7 * MICROS)]


async def test_who_stops_matching_leaves_and_loses_nothing(world: LedgerWorld) -> None:
    """Coming back brings everything, what was earned meanwhile included."""
    await world.follow(PROS)
    await world.swim("ann", 3, attributes={"level": "pro"})
    await world.swim("bob", 1, attributes={"level": "pro"})
    await world.change("ann", attributes={"level": None})
    assert await world.standings(PROS) == [(1, "bob", MICROS)]
    await world.swim("ann", 4)
    await world.change("ann", attributes={"level": "pro"})
    assert await world.standings(PROS) == [(1, "ann", 7 * MICROS), (2, "bob", MICROS)]


async def test_each_combination_of_values_is_a_ranking_of_its_own(world: LedgerWorld) -> None:
    """Ranks count within the group."""
    await world.follow(BOTH)
    for user_id, pool, level in [("ann", "east", "pro"), ("bob", "east", "new"), ("cat", "east", "pro")]:
        await world.swim(user_id, len(user_id) + ord(user_id[0]), attributes={"pool": pool, "level": level})
    assert await world.order(BOTH, ("east", "pro")) == ["cat", "ann"]
    assert await world.order(BOTH, ("east", "new")) == ["bob"]
    run = BOTH.schedule.run_at(BOTH.start)
    assert run is not None
    assert sorted(await world.ledger.groups(4, run)) == [("east", "new"), ("east", "pro")]


async def test_who_lacks_a_breakdown_value_is_in_no_group(world: LedgerWorld) -> None:
    """One missing value of several is enough."""
    await world.follow(BOTH)
    outcome = await world.swim("ann", 3, attributes={"pool": "east"})
    assert list(outcome.boards) == []
    run = BOTH.schedule.run_at(BOTH.start)
    assert run is not None
    assert list(await world.ledger.groups(4, run)) == []
    await world.change("ann", attributes={"level": "pro"})
    assert await world.order(BOTH, ("east", "pro")) == ["ann"]


async def test_an_empty_text_is_a_value(world: LedgerWorld) -> None:
    """Only a missing key is none."""
    await world.follow(POOLS)
    await world.swim("ann", 1, attributes={"pool": ""})
    assert await world.order(POOLS, ("",)) == ["ann"]


async def test_a_change_of_group_moves_the_whole_value(world: LedgerWorld) -> None:
    """Nothing stays behind."""
    await world.follow(POOLS, PRO_POOLS)
    await world.swim("ann", 3, attributes={"pool": "east", "level": "pro"})
    await world.swim("bob", 2, attributes={"pool": "west", "level": "pro"})
    await world.change("ann", attributes={"pool": "west"})
    for board in (POOLS, PRO_POOLS):
        assert await world.standings(board, EAST) == []
        assert await world.standings(board, WEST) == [(1, "ann", 3 * MICROS), (2, "bob", 2 * MICROS)]


async def test_a_user_moves_in_every_run_that_is_not_final(world: LedgerWorld) -> None:
    """Two weeks are live at once, and the user has a value in both."""
    weekly = replace(POOLS, run_unit="day", run_interval=7)
    await world.follow(weekly)
    await world.swim("ann", 1, at="2026-03-02T12:00:00Z", attributes={"pool": "east"})
    world.at("2026-03-09T06:00:00Z")
    await world.swim("ann", 2)
    await world.change("ann", attributes={"pool": "west"})
    for on, laps in [("2026-03-02", 1), ("2026-03-09", 2)]:
        assert await world.standings(weekly, EAST, on=on) == []
        assert await world.standings(weekly, WEST, on=on) == [(1, "ann", laps * MICROS)]


async def test_an_event_that_moves_its_user_has_no_previous_rank(world: LedgerWorld) -> None:
    """The rank before is that in the group of the answer, where the user was not."""
    await world.follow(POOLS)
    await world.swim("ann", 3, attributes={"pool": "east"})
    await world.swim("bob", 5, attributes={"pool": "west"})
    outcome = await world.swim("ann", 1, attributes={"pool": "west"})
    assert placed(outcome) == {"pools": (None, 2)}
    assert await world.standings(POOLS, WEST) == [(1, "bob", 5 * MICROS), (2, "ann", 4 * MICROS)]
    assert placed(await world.swim("ann", 2)) == {"pools": (2, 1)}


async def test_an_event_with_which_its_user_joins_has_no_previous_rank(world: LedgerWorld) -> None:
    """Whatever was earned before."""
    await world.follow(PROS)
    await world.swim("ann", 3)
    assert placed(await world.swim("ann", 1, attributes={"level": "pro"})) == {"pros": (None, 1)}


async def test_an_event_that_moves_its_user_elsewhere_keeps_the_previous_rank_here(world: LedgerWorld) -> None:
    """Boards that do not look at the attribute do not care."""
    everybody = make_board(5, "everybody")
    await world.follow(POOLS, everybody)
    await world.swim("ann", 3, attributes={"pool": "east"})
    assert placed(await world.swim("ann", 1, attributes={"pool": "west"})) == {
        "pools": (None, 1),
        "everybody": (1, 1),
    }


async def test_there_and_back_in_one_list(world: LedgerWorld) -> None:
    """A list may move a user several times, with events between."""

    await world.follow(POOLS, PRO_POOLS)
    await world.swim("ann", 1, attributes={"pool": "east"})
    outcomes = await world.record(
        swim("ann", 1, attributes={"pool": "west"}),
        swim("ann", 1, attributes={"pool": None}),
        swim("ann", 1, attributes={"pool": "east", "level": "pro"}),
        swim("ann", 1),
    )
    assert [placed(outcome) for outcome in outcomes] == [
        {"pools": (None, 1)},
        {},
        {"pools": (None, 1), "pro-pools": (None, 1)},
        {"pools": (1, 1), "pro-pools": (1, 1)},
    ]
    for board in (POOLS, PRO_POOLS):
        assert await world.standings(board, EAST) == [(1, "ann", 5 * MICROS)]
        assert await world.standings(board, WEST) == []


async def test_moves_survive_a_restart(world: LedgerWorld) -> None:
    """Joined, moved and left alike."""
    await world.follow(POOLS, PROS)
    await world.swim("ann", 1, attributes={"pool": "east"})
    await world.swim("bob", 2, attributes={"pool": "east", "level": "pro"})
    await world.restart()
    await world.change("ann", attributes={"pool": "west", "level": "pro"})
    await world.change("bob", attributes={"level": None})
    await world.restart()
    assert await world.order(POOLS, WEST) == ["ann"]
    assert await world.order(POOLS, EAST) == ["bob"]
    assert await world.order(PROS) == ["ann"]


async def test_the_other_metric_moves_too(world: LedgerWorld) -> None:
    """A change of attributes moves the user on all boards, not only those of the event that brought it."""

    hours = make_board(6, "hours", metric=HOURS, breakdown=(POOL,))
    await world.follow(POOLS, hours)
    await world.record(swim("ann", 2, metric=HOURS, attributes={"pool": "east"}))
    await world.swim("ann", 1, attributes={"pool": "west"})
    assert await world.order(hours, WEST) == ["ann"]
    assert await world.order(hours, EAST) == []

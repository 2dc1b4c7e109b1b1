"""What those need who tell others of changes: which rankings changed, and everybody's rank at one moment."""

import pytest

from palmares.domain.value import MICROS
from tests.ledger_world import LedgerWorld, run_on, swim
from tests.world import HOURS, POOL, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()
WEEKLY = make_board(2, "weekly", run_unit="day", run_interval=7)
POOLS = make_board(3, "pools", breakdown=(POOL,))
RUN, WEEK = run_on(BOARD, "2026-03-04"), run_on(WEEKLY, "2026-03-04")
EAST, WEST = ("east",), ("west",)


async def test_rankings_that_changed_are_told_once(world: LedgerWorld) -> None:
    """From the first call on, and only those that changed."""
    await world.follow(BOARD, POOLS, make_board(4, "hours", metric=HOURS))
    await world.swim("ann", 1, attributes={"pool": "east"})
    assert world.ledger.changed_rankings() == []
    assert world.ledger.changed_rankings() == []
    await world.swim("ann", 1)
    assert sorted(world.ledger.changed_rankings()) == [(1, RUN, ()), (3, RUN, EAST)]
    assert world.ledger.changed_rankings() == []


async def test_who_moves_changes_two_groups(world: LedgerWorld) -> None:
    """The one that is left and the one that is joined."""
    await world.follow(POOLS)
    await world.record(swim("ann", 1, attributes={"pool": "east"}), swim("bob", 2, attributes={"pool": "west"}))
    world.ledger.changed_rankings()
    await world.change("ann", attributes={"pool": "west"})
    assert sorted(world.ledger.changed_rankings()) == [(3, RUN, EAST), (3, RUN, WEST)]


async def test_final_runs_change_no_more(world: LedgerWorld) -> None:
    """Each run is told for itself."""
    await world.follow(WEEKLY)
    await world.swim("ann", 1)
    world.ledger.changed_rankings()
    world.at("2026-03-09T11:00:00Z")
    await world.record(swim("ann", 1, tz="Etc/GMT+12"), swim("bob", 1))
    assert sorted(world.ledger.changed_rankings()) == [(2, WEEK, ()), (2, run_on(WEEKLY, "2026-03-09"), ())]
    await world.advance("2026-03-09T12:00:00Z")
    await world.swim("ann", 1)
    assert world.ledger.changed_rankings() == [(2, run_on(WEEKLY, "2026-03-09"), ())]


async def test_everybodys_rank_is_told_by_number(world: LedgerWorld) -> None:
    """In ascending order of the users, with the ranks of the board's numbering; outside the cap nobody."""
    board = make_board(numbering="competition", max_participants=3)
    await world.follow(board)
    await world.record(swim("ann", 1), swim("bob", 4), swim("cat", 4), swim("dee", 0))
    ranks = await world.ledger.ranks(1, RUN, ())
    users = await world.ledger.users(list(ranks.participants))
    assert list(ranks.participants) == sorted(ranks.participants)
    assert sorted(zip((user.id for user in users), ranks.ranks, ranks.values, strict=True)) == [
        ("ann", 3, MICROS),
        ("bob", 1, 4 * MICROS),
        ("cat", 1, 4 * MICROS),
    ]


async def test_a_group_without_anyone_has_no_ranks(world: LedgerWorld) -> None:
    """That is no error."""
    await world.follow(POOLS)
    ranks = await world.ledger.ranks(3, RUN, EAST)
    assert (len(ranks.participants), len(ranks.ranks), len(ranks.values)) == (0, 0, 0)


async def test_users_are_found_by_number(world: LedgerWorld) -> None:
    """In the order asked for, as they are now."""
    numbers = [(await world.change(user_id)).user.number for user_id in ("ann", "bob", "cat")]
    await world.change("bob", name="Bob")
    found = await world.ledger.users(numbers[::-1])
    assert [(user.id, user.name) for user in found] == [("cat", None), ("bob", "Bob"), ("ann", None)]


async def test_the_position_is_that_of_the_last_line(world: LedgerWorld) -> None:
    """It grows with every line that is recorded, and is the same after a restart."""
    assert world.ledger.position() == 0
    await world.swim("ann", 1)
    lines = await world.ledger.records(0, 100)
    assert world.ledger.position() == lines[-1].position
    await world.swim("ann", 1)
    assert world.ledger.position() == lines[-1].position + 1
    await world.restart()
    assert world.ledger.position() == lines[-1].position + 1

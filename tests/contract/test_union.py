"""Several groups read as one ranking."""

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest

from palmares.domain.board import Board, Numbering
from palmares.domain.standing import Standing, rank_all
from palmares.domain.tally import Tally
from palmares.domain.value import MICROS
from tests.ledger_world import LedgerWorld, run_on, swim
from tests.world import POOL, make_board

pytestmark = pytest.mark.anyio

EAST, WEST, NORTH = GROUPS = [("east",), ("west",), ("north",)]
KINDS = list(product(["desc", "asc"], ["first", "last"], get_args(Numbering), [None, 2, 4]))
BOARDS = [
    make_board(
        number, f"board-{number}", breakdown=(POOL,), order=order, ties=ties, numbering=numbering, max_participants=cap
    )
    for number, (order, ties, numbering, cap) in enumerate(KINDS, 1)
]
# (minute, laps) of each user by pool; many ties across pools.
LAPS_BY_POOL = {
    "east": {"ann": (1, 5), "bob": (2, 5), "cat": (3, 2), "dee": (4, 1), "eve": (5, 9)},
    "west": {"fay": (1, 5), "gus": (3, 5), "hal": (3, 9), "ida": (9, 2)},
    "north": {"joe": (2, 5)},
}


def expected(board: Board, pools: list[str]) -> list[Standing]:
    """Each group capped for itself, then all of them ranked as one."""
    base = 1_772_625_600 * MICROS
    ranked: dict[str, Tally] = {}
    for pool in pools:
        tallies = {
            user_id: Tally(laps * MICROS, base + minute * 60 * MICROS)
            for user_id, (minute, laps) in LAPS_BY_POOL[pool].items()
        }
        ranked |= {standing.participant: tallies[standing.participant] for standing in rank_all(board, tallies)}
    return rank_all(replace(board, max_participants=None), ranked)


async def fill(world: LedgerWorld, *boards: Board) -> None:
    await world.follow(*boards)
    await world.record(
        *(
            swim(user_id, laps, at=f"2026-03-04T12:{minute:02}:00Z", attributes={"pool": pool})
            for pool, users in LAPS_BY_POOL.items()
            for user_id, (minute, laps) in users.items()
        )
    )


async def test_a_union_is_ranked_as_one(world: LedgerWorld) -> None:
    """In all orders, ties and numberings, with caps: pages, sizes and places agree with ranking everything at once."""
    await fill(world, *BOARDS)
    for board, pools in product(BOARDS, [["east", "west"], ["east", "west", "north"], ["north"]]):
        groups = [(pool,) for pool in pools]
        standings = expected(board, pools)
        run = run_on(board, "2026-03-04")
        assert await world.ledger.size(board.number, run, groups) == len(standings)
        rows = await world.ledger.page(board.number, run, groups, 0, 100)
        assert [(row.row, row.rank, row.user_id, row.value) for row in rows] == [
            (place, standing.rank, standing.participant, standing.value) for place, standing in enumerate(standings)
        ]
        for start in range(len(standings)):
            assert await world.ledger.page(board.number, run, groups, start, start + 2) == rows[start : start + 2]
        for row in rows:
            place = await world.place(board, row.user_id, *groups)
            assert place == (row.row, row.rank, row.value)


async def test_who_is_outside_the_cap_of_the_own_group_is_outside_the_union(world: LedgerWorld) -> None:
    """Also with more than the best of another group has."""
    board = make_board(breakdown=(POOL,), max_participants=1)
    await fill(world, board)
    assert await world.order(board, EAST, NORTH) == ["eve", "joe"]
    assert await world.place(board, "ann", EAST, NORTH) == (None, None, 5 * MICROS)


async def test_who_belongs_to_no_group_of_the_union_has_no_place_there(world: LedgerWorld) -> None:
    """None, not a place without rank."""
    board = make_board(breakdown=(POOL,))
    await fill(world, board)
    assert await world.place(board, "ann", WEST, NORTH) is None


async def test_groups_in_which_nobody_stands_change_nothing(world: LedgerWorld) -> None:
    """Neither do groups that are named twice, or in another order."""
    board = make_board(breakdown=(POOL,), numbering="dense")
    await fill(world, board)
    plain = await world.rows(board, EAST, WEST)
    assert await world.rows(board, ("south",), WEST, EAST, WEST, EAST) == plain
    assert await world.rows(board, ("south",)) == []
    assert await world.place(board, "gus", WEST, WEST, EAST) == await world.place(board, "gus", EAST, WEST)


async def test_no_groups_are_an_empty_ranking(world: LedgerWorld) -> None:
    """Not all of them."""
    board = make_board(breakdown=(POOL,))
    await fill(world, board)
    run = run_on(board, "2026-03-04")
    assert await world.ledger.size(board.number, run, []) == 0
    assert await world.ledger.page(board.number, run, [], 0, 10) == []
    assert await world.ledger.place(board.number, run, [], await world.user("ann")) is None

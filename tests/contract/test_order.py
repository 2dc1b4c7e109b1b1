"""Order, ties, numbering, cap and threshold."""

from itertools import product
from typing import Any, get_args

import pytest

from palmares.domain.board import Aggregation, Board, Numbering, Order, Ties
from palmares.domain.local_time import parse_instant
from palmares.domain.standing import rank_all
from palmares.domain.tally import Tally
from palmares.domain.value import MICROS
from tests.ledger_world import LedgerWorld, placed, swim
from tests.world import make_board

pytestmark = pytest.mark.anyio

KINDS = list(product(get_args(Aggregation), get_args(Order), get_args(Ties), get_args(Numbering)))
# Laps by minute: ups and downs, standstills, ties between users, somebody with nothing but zeros.
STORY: dict[str, dict[int, int]] = {
    "ann": {1: 3, 4: 0, 7: 2, 11: -1},
    "bob": {2: 4, 8: 0, 9: 0},
    "cat": {3: 0, 5: 0},
    "dee": {3: 5, 6: -1, 10: 0},
    "eve": {2: 4},
    "fay": {12: 0, 13: 4, 14: -4},
}


def tally_of(aggregation: str, events: dict[int, int]) -> Tally:
    """The definition, word by word: the value behind each event, and when the last standstill of it began."""
    amounts = list(events.values())
    so_far = [amounts[: place + 1] for place in range(len(amounts))]
    fold: dict[str, Any] = {"sum": sum, "max": max, "min": min, "last": lambda some: some[-1], "count": len}
    values = [fold[aggregation](some) for some in so_far]
    reached = next(place for place in range(len(values)) if len(set(values[place:])) == 1)
    return Tally(values[-1] * MICROS, minute(list(events)[reached]))


def minute(number: int) -> int:
    """An instant on 2026-03-04."""
    return parse_instant(time(number), "minute")


def time(number: int) -> str:
    return f"2026-03-04T12:{number:02}:00Z"


def make_boards(kind_of: list[Any], **fields: Any) -> list[Board]:
    return [
        make_board(
            number,
            "-".join(kind),
            aggregation=kind[0],
            order=kind[1],
            ties=kind[2],
            numbering=kind[3],
            **fields,
        )
        for number, kind in enumerate(kind_of, 1)
    ]


@pytest.mark.parametrize("cap", [None, 1, 3, 6])
async def test_every_kind_of_board_ranks_like_rank_all(world: LedgerWorld, cap: int | None) -> None:
    """All aggregations, orders, ties and numberings, with and without cap; outcome and standings alike."""
    boards = make_boards(KINDS, max_participants=cap)
    await world.follow(*boards)
    world.at(time(59))
    story = sorted((number, user_id, laps) for user_id, events in STORY.items() for number, laps in events.items())
    outcomes = await world.record(*(swim(user_id, laps, at=time(number)) for number, user_id, laps in story))
    for board in boards:
        tallies = {user_id: tally_of(board.aggregation, events) for user_id, events in STORY.items()}
        expected = [standing[:3] for standing in rank_all(board, tallies)]
        assert [(found.user_id, found.rank, found.value) for found in await world.standings(board)] == expected
    last = {found.board.key: found.rank for found in outcomes[-1].boards}
    assert last == {board.key: await rank_of(world, board, "fay") for board in boards}


async def rank_of(world: LedgerWorld, board: Board, user_id: str) -> int | None:
    place = await world.place(board, user_id)
    assert place is not None
    return place.rank


async def test_between_equals_who_was_there_first_stands_higher(world: LedgerWorld) -> None:
    """Or who came last, where the board says so; the id decides only within one instant."""
    first, last = make_board(1, "first"), make_board(2, "last", ties="last")
    await world.follow(first, last)
    await world.record(swim("bob", 5, at=time(1)), swim("cat", 5, at=time(1)), swim("ann", 5, at=time(2)))
    assert await world.order(first) == ["bob", "cat", "ann"]
    assert await world.order(last) == ["ann", "bob", "cat"]


async def test_ids_decide_by_their_bytes(world: LedgerWorld) -> None:
    """Capitals before small letters, and a prefix before what it begins."""
    board = make_board()
    await world.follow(board)
    ids = ["b", "a", "B", "aa", "ä", "€", "😀", "\uffff", ""]
    ids = [user_id for user_id in ids if user_id]
    await world.record(*(swim(user_id, 1) for user_id in ids))
    assert await world.order(board) == sorted(ids, key=str.encode)


async def test_an_event_that_leaves_the_value_does_not_move_its_time(world: LedgerWorld) -> None:
    """Who stood first with a value keeps standing first."""
    board = make_board()
    await world.follow(board)
    await world.record(swim("ann", 5, at=time(1)), swim("bob", 5, at=time(2)), swim("ann", 0, at=time(3)))
    assert await world.order(board) == ["ann", "bob"]


@pytest.mark.parametrize(
    ("numbering", "ranks"),
    [("ordinal", [1, 2, 3, 4]), ("competition", [1, 2, 2, 4]), ("dense", [1, 2, 2, 3])],
)
async def test_numbering_says_what_ties_look_like(world: LedgerWorld, numbering: str, ranks: list[int]) -> None:
    """Rows are counted from 0 whatever the ranks are."""
    board = make_board(numbering=numbering)
    await world.follow(board)
    await world.record(swim("a", 9), swim("b", 5), swim("c", 5), swim("d", 1))
    rows = await world.rows(board)
    assert [row.rank for row in rows] == ranks
    assert [row.row for row in rows] == [0, 1, 2, 3]
    places = [await world.place(board, user_id) for user_id in "abcd"]
    assert [(place.row, place.rank) for place in places if place] == list(zip(range(4), ranks, strict=True))


@pytest.mark.parametrize(
    ("numbering", "expected"),
    [("ordinal", (3, 2)), ("competition", (2, 2)), ("dense", (2, 2))],
)
async def test_ranks_before_and_after_are_numbered_alike(
    world: LedgerWorld, numbering: str, expected: tuple[int, int]
) -> None:
    """From behind in a tie for the second rank to alone on it."""
    board = make_board(numbering=numbering)
    await world.follow(board)
    await world.record(swim("a", 9, at=time(1)), swim("b", 5, at=time(2)), swim("c", 5, at=time(3)))
    assert placed(await world.swim("c", 1)) == {board.key: expected}


async def test_values_differ_by_a_millionth(world: LedgerWorld) -> None:
    """The exact value orders, though the wire shows whole numbers."""
    board = make_board()
    await world.follow(board)
    await world.record(swim("a", "1.000001"), swim("b", "1.000002"), swim("c", "1"))
    assert await world.order(board) == ["b", "a", "c"]


async def test_who_is_outside_the_cap_has_no_rank_but_keeps_the_value(world: LedgerWorld) -> None:
    """And enters by exceeding the lowest ranked value."""
    board = make_board(max_participants=2)
    await world.follow(board)
    await world.record(swim("a", 9, at=time(1)), swim("b", 5, at=time(2)))
    world.at(time(10))
    assert placed(await world.swim("c", 4)) == {board.key: (None, None)}
    assert placed(await world.swim("c", 1)) == {board.key: (None, None)}
    place = await world.place(board, "c")
    assert place == (None, None, 5 * MICROS)
    assert placed(await world.swim("c", "0.000001")) == {board.key: (None, 2)}
    assert await world.order(board) == ["a", "c"]
    assert await world.place(board, "b") == (None, None, 5 * MICROS)


async def test_who_falls_out_makes_room_for_the_next(world: LedgerWorld) -> None:
    """The best of those outside comes in without doing anything."""
    board = make_board(max_participants=2)
    await world.follow(board)
    await world.record(swim("a", 9), swim("b", 5), swim("c", 4))
    assert placed(await world.swim("b", -2)) == {board.key: (2, None)}
    assert await world.order(board) == ["a", "c"]


@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_the_threshold_is_the_lowest_ranked_value_of_a_full_group(world: LedgerWorld, order: str) -> None:
    """As of after the event; 0 while there is room."""
    board = make_board(max_participants=2, order=order)
    await world.follow(board)
    sign = 1 if order == "desc" else -1
    outcomes = await world.record(
        swim("a", 9 * sign), swim("b", f"{'' if sign > 0 else '-'}5.5"), swim("c", 7 * sign), swim("d", 1 * sign)
    )
    assert [one.boards[0].threshold for one in outcomes] == [0, 6 if sign > 0 else -5, 7 * sign, 7 * sign]


async def test_a_board_without_cap_has_no_threshold(world: LedgerWorld) -> None:
    """There is always room."""
    board = make_board(max_participants=None)
    await world.follow(board)
    outcomes = await world.record(swim("a", 9), swim("b", 5))
    assert [one.boards[0].threshold for one in outcomes] == [0, 0]


async def test_size_counts_who_is_ranked(world: LedgerWorld) -> None:
    """Not those outside the cap."""
    board = make_board(max_participants=3)
    await world.follow(board)
    await world.record(*(swim(f"user-{number}", number) for number in range(5)))
    assert len(await world.rows(board)) == 3
    run = board.schedule.run_at(board.start)
    assert run is not None
    assert await world.ledger.size(board.number, run, [()]) == 3

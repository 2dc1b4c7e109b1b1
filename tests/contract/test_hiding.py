"""Hidden users: ranks close up behind them, they go on counting, and they see their own place."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import pytest

from palmares.domain.board import Board, Numbering
from palmares.domain.errors import NotFound
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.value import MICROS
from palmares.ledger.contract import Ledger, Row
from tests.contract.story import BOARDS as ALL_BOARDS
from tests.contract.story import USERS, all_that_is_told, tell_a_story
from tests.ledger_world import Clock, DayLine, LedgerWorld, placed, rankings_of, run_on
from tests.slow_ledger import SlowLedger
from tests.world import LEVEL, POOL, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board(1, "laps")
POOLS = make_board(2, "pools", breakdown=(POOL,))
PROS = make_board(3, "pros", filters=((LEVEL, "pro"),))
DAILY = make_board(4, "daily", run_unit="day", run_interval=1)
STREAKS = make_board(5, "streaks", rank_by="streak", metric=None)
EAST, WEST = ("east",), ("west",)
# Of the story: without and with groups, filters and caps, that repeat and that are revised.
BOARDS = [board for board in ALL_BOARDS if board.number in (2, 4, 9, 10, 11)]


async def swim_in_turn(world: LedgerWorld, *laps: tuple[str, int]) -> None:
    """One event each, a minute apart."""
    for user_id, amount in laps:
        await world.swim(user_id, amount)
        world.clock.now += 60 * MICROS


async def test_ranks_close_up_behind_a_hidden_user(world: LedgerWorld) -> None:
    """Pages, sizes and everybody's place are as if nobody stood there."""
    await world.follow(BOARD)
    await swim_in_turn(world, ("ann", 9), ("bob", 7), ("cat", 5))
    await world.hide("bob")

    assert await world.standings(BOARD) == [(1, "ann", 9 * MICROS), (2, "cat", 5 * MICROS)]
    assert await world.ledger.size(1, run_on(BOARD, "2026-03-04"), [()]) == 2
    assert await world.place(BOARD, "cat") == (1, 2, 5 * MICROS)


async def test_a_hidden_user_goes_on_counting_and_comes_back_with_everything(world: LedgerWorld) -> None:
    """Totals, values and streaks are what they would be."""
    await world.follow(BOARD)
    await swim_in_turn(world, ("ann", 9), ("bob", 7))
    await world.hide("bob")
    hidden = await world.swim("bob", 3)
    assert (hidden.total, hidden.streak.length) == (10 * MICROS, 1)
    assert await world.order(BOARD) == ["ann"]

    await world.unhide("bob")
    assert await world.standings(BOARD) == [(1, "bob", 10 * MICROS), (2, "ann", 9 * MICROS)]


@pytest.mark.parametrize("numbering", get_args(Numbering))
async def test_a_hidden_user_sees_the_place_among_the_visible(world: LedgerWorld, numbering: Numbering) -> None:
    """By the board's numbering, ties included: cat reached the same value later than bob, and before eve."""
    board = make_board(numbering=numbering)
    await world.follow(board)
    await swim_in_turn(world, ("ann", 9), ("dee", 9), ("bob", 5), ("cat", 5), ("eve", 5), ("fay", 1))
    before = await world.place(board, "cat")
    await world.hide("cat")

    assert (
        await world.place(board, "cat")
        == before
        == (3, {"ordinal": 4, "competition": 3, "dense": 2}[numbering], 5 * MICROS)
    )
    moved = await world.swim("cat", 4)
    rank = {"ordinal": 3, "competition": 1, "dense": 1}[numbering]
    assert placed(moved) == {board.key: (before.rank, rank)}
    assert await world.place(board, "cat") == (2, rank, 9 * MICROS)
    assert await world.order(board) == ["ann", "dee", "bob", "eve", "fay"]


async def test_the_first_event_of_a_hidden_user_had_no_rank_before(world: LedgerWorld) -> None:
    """Being hidden is no value."""
    await world.follow(BOARD)
    await world.change("ann")
    await world.hide("ann")
    assert await world.place(BOARD, "ann") is None
    first = await world.swim("ann", 1)
    assert placed(first) == {"laps": (None, 1)}
    assert await world.ledger.size(1, run_on(BOARD, "2026-03-04"), [()]) == 0


async def test_a_replayed_event_of_a_hidden_user_tells_the_place_it_would_have(world: LedgerWorld) -> None:
    """As any replay tells the present."""
    await world.follow(BOARD)
    await swim_in_turn(world, ("ann", 9))
    await world.swim("bob", 10, key="once")
    await world.hide("bob")
    again = await world.swim("bob", 10, key="once")
    assert again.replayed
    assert placed(again) == {"laps": (1, 1)}


async def test_a_hidden_user_takes_no_place_under_the_cap_and_is_not_the_threshold(world: LedgerWorld) -> None:
    """The next one moves up; behind the cap, a hidden user is not ranked like anybody else."""
    board = make_board(max_participants=2)
    await world.follow(board)
    await swim_in_turn(world, ("ann", 9), ("bob", 7), ("cat", 5))
    await world.hide("bob")

    assert await world.order(board) == ["ann", "cat"]
    assert await world.place(board, "bob") == (1, 2, 7 * MICROS)
    told = await world.swim("ann", 1)
    assert [found.threshold for found in told.boards] == [5]
    await world.swim("dee", 8)
    assert await world.place(board, "bob") == (None, None, 7 * MICROS)
    assert placed(await world.swim("bob", 0)) == {board.key: (None, None)}


async def test_who_moves_while_hidden_has_a_place_in_the_new_group_and_comes_back_there(world: LedgerWorld) -> None:
    """Unseen, in both."""
    await world.follow(POOLS, PROS)
    for user_id, laps, pool in (("ann", 9, "east"), ("bob", 7, "east"), ("cat", 8, "west")):
        await world.swim(user_id, laps, attributes={"pool": pool, "level": "pro"})
    await world.hide("bob")
    assert await world.place(POOLS, "bob", EAST) == (1, 2, 7 * MICROS)
    assert await world.place(POOLS, "bob", WEST) is None
    moved = await world.swim("bob", 2, attributes={"pool": "west"})

    assert placed(moved) == {"pools": (None, 1), "pros": (3, 2)}
    assert await world.place(POOLS, "bob", EAST) is None
    assert await world.place(POOLS, "bob", EAST, WEST) == (1, 2, 9 * MICROS)
    assert await world.order(POOLS, EAST, WEST) == ["ann", "cat"]
    await world.unhide("bob")
    assert await world.order(POOLS, WEST) == ["bob", "cat"]


async def test_who_matches_no_filter_has_no_place_hidden_or_not(world: LedgerWorld) -> None:
    await world.follow(PROS)
    await world.swim("ann", 9)
    await world.hide("ann")
    assert placed(await world.swim("ann", 1)) == {}
    assert await world.place(PROS, "ann") is None
    await world.change("ann", attributes={"level": "pro"})
    assert await world.place(PROS, "ann") == (0, 1, 10 * MICROS)
    assert await world.order(PROS) == []


async def test_days_on_which_a_user_was_hidden_are_empty_and_close_up_for_others(world: LedgerWorld) -> None:
    """They are over and stay so."""
    await world.follow(BOARD)
    await swim_in_turn(world, ("ann", 9), ("bob", 7))
    await world.advance("2026-03-05T01:00:00Z")
    await world.hide("ann")
    await world.advance("2026-03-06T01:00:00Z")
    await world.unhide("ann")
    await world.advance("2026-03-07T01:00:00Z")

    assert [line.rank for line in await world.history(BOARD, "ann")] == [1, None, 1]
    assert [line.rank for line in await world.history(BOARD, "bob")] == [2, 1, 2]
    assert (await world.history(BOARD, "ann"))[1] == DayLine("03-05", None, None)


async def test_a_run_that_closes_while_a_user_is_hidden_never_shows_them(world: LedgerWorld) -> None:
    """And one that was closed before keeps showing them."""
    await world.follow(DAILY)
    await swim_in_turn(world, ("ann", 9), ("bob", 7))
    await world.advance("2026-03-05T12:00:00Z")
    await world.hide("ann")
    await swim_in_turn(world, ("ann", 9), ("bob", 7))
    await world.advance("2026-03-06T12:00:00Z")
    await world.unhide("ann")

    assert await world.order(DAILY, on="2026-03-04") == ["ann", "bob"]
    assert await world.order(DAILY, on="2026-03-05") == ["bob"]
    assert await world.place(DAILY, "ann", on="2026-03-05") is None
    assert await world.ledger.group(4, run_on(DAILY, "2026-03-05"), await world.user("ann")) is None


async def test_late_events_count_for_who_was_hidden_at_the_end_as_for_nobody(world: LedgerWorld) -> None:
    """A revised run goes by who was hidden when it became final."""
    board = replace(DAILY, late_events="revise")
    await world.follow(board)
    await swim_in_turn(world, ("ann", 9), ("bob", 7))
    await world.hide("ann")
    await world.advance("2026-03-05T12:00:00Z")
    await world.unhide("ann")
    await world.hide("bob")
    for user_id in ("ann", "bob"):
        await world.swim(user_id, 1, at="2026-03-04T13:00:00Z")
    await world.ledger.settle()
    assert await world.standings(board) == [(1, "bob", 8 * MICROS)]


async def test_longest_streaks_and_streak_boards_leave_hidden_users_out(world: LedgerWorld) -> None:
    """But tell them where they would stand."""
    await world.follow(STREAKS)
    for hour, user_id in enumerate(("ann", "bob")):
        world.at(f"2026-03-04T1{hour + 2}:00:00Z")
        await world.swim(user_id, 1)
    await world.hide("ann")
    assert await world.order(STREAKS) == ["bob"]
    assert [row.user_id for row in await world.ledger.streak_rankings(1, "active", 10)] == ["bob"]
    world.at("2026-03-05T12:00:00Z")
    extended = await world.swim("ann", 1)
    assert placed(extended) == {"streaks": (1, 1)}
    assert await world.order(STREAKS) == ["bob"]
    await world.unhide("ann")
    assert await world.order(STREAKS) == ["ann", "bob"]
    assert [row.user_id for row in await world.ledger.streak_rankings(1, "longest", 10)] == ["ann", "bob"]


async def test_nobody_unknown_is_hidden(world: LedgerWorld) -> None:
    """Hiding makes no users."""
    with pytest.raises(NotFound):
        await world.hide("nobody")
    assert await world.ledger.records(0, 10) == []


async def test_rankings_change_by_hiding(world: LedgerWorld) -> None:
    """Who watches them is told; what a hidden user does is nobody's news."""
    await world.follow(BOARD)
    await swim_in_turn(world, ("ann", 9), ("bob", 7))
    world.ledger.changed_rankings()
    await world.hide("ann")
    assert world.ledger.changed_rankings() == [(1, run_on(BOARD, "2026-03-04"), ())]
    await world.swim("ann", 1)
    assert world.ledger.changed_rankings() == []


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_who_is_hidden_stays_so_over_a_restart(world: LedgerWorld, how: str) -> None:
    """With the hidden value, on boards with and without groups, also where a board is followed only then."""
    await world.follow(BOARD, POOLS)
    for user_id, laps in (("ann", 9), ("bob", 7), ("cat", 5)):
        await world.swim(user_id, laps, attributes={"pool": "east"})
    await world.hide("ann", "bob")
    await world.unhide("bob")
    await world.reopen(how)
    await world.follow(make_board(6, "late"), STREAKS)
    for board, group in ((BOARD, ()), (POOLS, EAST), (make_board(6, "late"), ()), (STREAKS, ())):
        assert sorted(await world.order(board, group)) == ["bob", "cat"]
        assert await world.place(board, "ann", group) is not None
    await world.swim("ann", 1)
    await world.reopen(how)
    assert await world.standings(BOARD) == [(1, "bob", 7 * MICROS), (2, "cat", 5 * MICROS)]
    await world.unhide("ann")
    assert await world.standings(make_board(6, "late")) == [
        (1, "ann", 10 * MICROS), (2, "bob", 7 * MICROS), (3, "cat", 5 * MICROS),
    ]  # fmt: skip


class Another:
    """A home of the ledger that is right, to live the same story there a little differently."""

    def __init__(self, clock: Clock) -> None:
        self._ledger = SlowLedger(clock, lambda: "an event")

    async def open(self, boards: Sequence[Board], streaks: Mapping[int, StreakSettings]) -> Ledger:
        return self._ledger

    def kill(self) -> None:
        """Never."""


async def live_the_story(world: LedgerWorld, *, without: str | None = None) -> None:
    """Half of it, some days long."""
    await tell_a_story(world, 0, 30, without)
    await world.ledger.advance(world.clock())
    await world.ledger.settle()


async def another_story(*, without: str | None = None) -> LedgerWorld:
    clock = Clock()
    other = LedgerWorld(Another(clock), clock)
    await other.open()
    await other.follow(*BOARDS)
    await live_the_story(other, without=without)
    return other


async def rankings_with_anybody(world: LedgerWorld, *, live: bool = False) -> dict[Any, list[Row]]:
    found = await rankings_of(world.ledger, BOARDS)
    return {
        name: rows
        for name, rows in found.items()
        if rows and not (live and (await world.ledger.run_state(name[0], name[1])).final)
    }


async def test_a_story_with_a_hidden_user_is_that_of_the_others(world: LedgerWorld) -> None:
    """Pages, sizes and ranks in live and final runs, and all days: as if the hidden one had never recorded anything."""
    hidden, others = USERS[1], (USERS[0], USERS[2], USERS[4])
    await world.follow(*BOARDS)
    await world.change(hidden)
    await world.hide(hidden)
    await live_the_story(world)
    without = await another_story(without=hidden)

    assert await rankings_with_anybody(world) == await rankings_with_anybody(without)
    for board in BOARDS:
        for user_id in others:
            assert await world.history(board, user_id) == await without.history(board, user_id)


async def test_bringing_back_is_as_if_never_hidden(world: LedgerWorld) -> None:
    """In all runs that are not final yet."""
    await world.follow(*BOARDS)
    await world.change(USERS[1])
    await world.hide(USERS[1])
    await live_the_story(world)
    await world.unhide(USERS[1])
    never = await another_story()

    found = await rankings_with_anybody(world, live=True)
    assert found == await rankings_with_anybody(never, live=True)
    assert any(row.user_id == USERS[1] for rows in found.values() for row in rows)


async def test_a_board_that_is_followed_late_hides_as_one_that_was_there(world: LedgerWorld) -> None:
    """Also who was hidden only for a while."""
    await world.follow(*BOARDS)
    await tell_a_story(world, 0, 10)
    await world.hide(USERS[1], USERS[2])
    await tell_a_story(world, 10, 20)
    await world.unhide(USERS[2])
    await tell_a_story(world, 20, 30)
    from_the_start = await all_that_is_told(world, BOARDS)
    for board in BOARDS:
        world.forget(board)
    await world.follow(*BOARDS)
    assert await all_that_is_told(world, BOARDS) == from_the_start

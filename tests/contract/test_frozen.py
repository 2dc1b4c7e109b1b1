"""Boards that are finished by hand: they stay as they were at that moment, for good."""

from dataclasses import replace

import pytest

from palmares.domain.value import MICROS
from tests.contract.story import BOARD, SOME_BOARDS, all_that_is_told, tell_a_story
from tests.ledger_world import LedgerWorld, rankings_of, run_on, swim
from tests.world import POOL, make_board

pytestmark = pytest.mark.anyio


async def test_a_frozen_board_stays_as_it_is(world: LedgerWorld) -> None:
    """Events count no more, late ones and history neither, and who changes attributes stays where they were."""
    await world.follow(*SOME_BOARDS)
    await tell_a_story(world)
    ranked = await rankings_of(world.ledger, SOME_BOARDS)
    positions = {await world.ledger.freeze(board.number) for board in SOME_BOARDS}
    assert positions == {len(await world.ledger.records(0, 10_000))}
    frozen = await all_that_is_told(world, SOME_BOARDS)
    assert await rankings_of(world.ledger, SOME_BOARDS) == ranked
    await tell_a_story(world, 60, 120)
    assert await all_that_is_told(world, SOME_BOARDS) == frozen
    assert list((await world.swim("user-1", 1)).boards) == []


async def test_all_runs_are_final_at_once(world: LedgerWorld) -> None:
    """Whichever day it is."""
    await world.follow(BOARD)
    await world.swim("ann", 1)
    await world.ledger.freeze(1)
    assert await world.state(BOARD) == (True, 0, 0)


@pytest.mark.parametrize("late_events", ["ignore", "revise"])
async def test_nothing_that_comes_later_counts(world: LedgerWorld, late_events: str) -> None:
    """Whenever it happened, in whatever way it is recorded: it is not even ignored."""
    weekly = make_board(run_unit="day", run_interval=7, late_events=late_events)
    await world.follow(weekly)
    await world.swim("ann", 3)
    world.at("2026-03-10T12:00:00Z")
    await world.swim("ann", 1)
    await world.ledger.freeze(1)
    for date in ("2026-03-04", "2026-03-10"):
        await world.swim("bob", 9, at=f"{date}T09:00:00Z")
        await world.swam("bob", 9, f"{date}T09:00:00Z")
    await world.advance("2026-03-20T12:00:00Z")
    assert await world.standings(weekly) == [(1, "ann", 3 * MICROS)]
    assert await world.standings(weekly, on="2026-03-10") == [(1, "ann", MICROS)]
    assert await world.state(weekly) == await world.state(weekly, on="2026-03-10") == (True, 0, 0)
    assert await world.total("bob") == 36 * MICROS


async def test_groups_are_those_of_that_moment(world: LedgerWorld) -> None:
    """Of the runs that it ended; the others keep those of their own end."""
    weekly = make_board(run_unit="day", run_interval=7, breakdown=(POOL,))
    east, west = ("east",), ("west",)
    await world.follow(weekly)
    await world.swim("ann", 3, attributes={"pool": "east"})
    world.at("2026-03-10T12:00:00Z")
    await world.swim("ann", 1, attributes={"pool": "west"})
    await world.ledger.freeze(1)
    await world.change("ann", attributes={"pool": "north"})
    await world.advance("2026-03-20T12:00:00Z")
    assert await world.order(weekly, east) == await world.order(weekly, west, on="2026-03-10") == ["ann"]
    ann = await world.user("ann")
    assert await world.ledger.group(1, run_on(weekly, "2026-03-10"), ann) == west


async def test_the_history_ends_on_the_day_of_freezing(world: LedgerWorld) -> None:
    """That day shows what the board ended with."""
    await world.follow(BOARD)
    await world.swim("ann", 1)
    world.at("2026-03-06T12:00:00Z")
    await world.swim("ann", 2)
    await world.ledger.freeze(1)
    world.at("2026-03-06T13:00:00Z")
    await world.swim("ann", 4)
    await world.advance("2026-03-10T00:00:00Z")
    assert await world.history(BOARD, "ann") == [("03-04", 1, 1), ("03-05", 1, 1), ("03-06", 1, 3)]


async def test_who_is_outside_the_cap_has_no_place(world: LedgerWorld) -> None:
    """As in every run that is final."""
    capped = replace(BOARD, max_participants=1)
    await world.follow(capped)
    await world.record(swim("ann", 2), swim("bob", 1))
    await world.ledger.freeze(1)
    assert await world.place(capped, "ann") == (0, 1, 2 * MICROS)
    assert await world.place(capped, "bob") is None


async def test_a_frozen_board_shows_the_present_name_of_a_user(world: LedgerWorld) -> None:
    """That is no part of the ranking."""
    await world.follow(BOARD)
    await world.swim("ann", 1, name="Ann")
    await world.ledger.freeze(1)
    await world.change("ann", name="Anna")
    assert [row.user_name for row in await world.rows(BOARD)] == ["Anna"]


async def test_freezing_twice_keeps_the_first_position(world: LedgerWorld) -> None:
    """It is the last position counted, whatever came since."""
    await world.follow(BOARD)
    await world.swim("ann", 1)
    position = await world.ledger.freeze(1)
    await world.swim("ann", 1)
    assert await world.ledger.freeze(1) == position
    world.redefine(replace(BOARD, name="New"))
    assert await world.ledger.freeze(1) == position


@pytest.mark.parametrize("opened", [["restart"], ["crash"], ["restart", "crash", "restart"]])
async def test_a_frozen_board_survives_a_restart(world: LedgerWorld, opened: list[str]) -> None:
    """By the position that its definition keeps, attributes of that moment included."""
    await world.follow(*SOME_BOARDS)
    await tell_a_story(world)
    for board in SOME_BOARDS:
        world.redefine(replace(board, finished_position=await world.ledger.freeze(board.number)))
    before = await all_that_is_told(world, SOME_BOARDS)
    for restart, how in enumerate(opened):
        await tell_a_story(world, 60 + 10 * restart, 70 + 10 * restart)
        await world.reopen(how)
    assert await all_that_is_told(world, SOME_BOARDS) == before


async def test_a_frozen_board_can_be_made_again(world: LedgerWorld) -> None:
    """From the log as far as it counted, and by the attributes that users had then."""
    await world.follow(*SOME_BOARDS)
    await tell_a_story(world)
    frozen = [replace(board, finished_position=await world.ledger.freeze(board.number)) for board in SOME_BOARDS]
    before = await all_that_is_told(world, frozen)
    await tell_a_story(world, 60, 90)
    for board in frozen:
        world.forget(board)
        await world.follow(board)
    assert await all_that_is_told(world, frozen) == before


async def test_a_freezing_that_was_never_stored_did_not_happen(world: LedgerWorld) -> None:
    """The definition is what holds after a restart: without a position in it, everything counts again."""
    await world.follow(BOARD)
    await world.swim("ann", 1)
    await world.ledger.freeze(1)
    await world.swim("ann", 2)
    await world.restart()
    assert await world.standings(BOARD) == [(1, "ann", 3 * MICROS)]


async def test_a_frozen_board_that_is_followed_unfrozen_counts_again(world: LedgerWorld) -> None:
    """When storing the position failed, all is as it was before."""
    await world.follow(BOARD)
    await world.swim("ann", 1)
    await world.ledger.freeze(1)
    await world.swim("ann", 2)
    await world.follow(BOARD)
    assert await world.standings(BOARD) == [(1, "ann", 3 * MICROS)]
    assert (await world.swim("ann", 1)).boards[0].rank == 1

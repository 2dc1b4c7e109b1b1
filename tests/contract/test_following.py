"""Boards that come later than their events, change, go, and are frozen."""

import asyncio
from dataclasses import replace
from typing import get_args

import pytest

from palmares.domain.board import Aggregation, Board
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry
from tests.ledger_world import LedgerWorld, everything, run_on, swim
from tests.world import HOURS, LAPS, LEVEL, POOL, day, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()
BOARDS = [
    BOARD,
    make_board(2, "weekly", run_unit="day", run_interval=7, numbering="dense"),
    make_board(3, "pools", breakdown=(POOL,), ties="last"),
    make_board(4, "pros", filters=((LEVEL, "pro"),), order="asc", numbering="competition"),
    *(make_board(5 + place, key, aggregation=key) for place, key in enumerate(get_args(Aggregation)[1:])),
    make_board(9, "morning", start_time="06:00", end_time="12:30", max_participants=3),
]
USERS = [f"user-{number}" for number in range(7)]


async def tell_a_story(world: LedgerWorld, first: int = 0, past: int = 60) -> None:
    """Some users swim, change pools and levels, forget to upload and do it later."""
    for step in range(first, past):
        user_id = USERS[step * step % 7]
        attributes = {"pool": ["east", "west", None][step % 3]} if step % 4 == 0 else {}
        attributes |= {"level": ["pro", None][step % 2]} if step % 5 == 0 else {}
        at = f"2026-03-{2 + step * 5 % 13:02}T{step * 7 % 24:02}:00:00Z"
        await world.record(swim(user_id, step % 6 - 1, at=at, attributes=attributes))


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: str(board.key))
async def test_following_later_is_like_following_from_the_start(world: LedgerWorld, board: Board) -> None:
    """Rankings are a function of the events, not of when somebody began to look."""
    later = replace(board, number=90, key="later", id="later")
    world.at("2026-03-15T12:00:00Z")
    await world.follow(board)
    await tell_a_story(world)
    await world.follow(later)
    await assert_same(world, board.number, later.number)
    await tell_a_story(world, 60, 70)
    await assert_same(world, board.number, later.number)


async def assert_same(world: LedgerWorld, one: int, other: int) -> None:
    boards = [replace(world.boards[number], key="same") for number in (one, other)]
    [first, second] = [await everything(world.ledger, [board], USERS, []) for board in boards]
    assert first == second
    assert len(first) > 1, "nothing was compared"


async def test_events_that_come_while_a_board_is_made_are_in_it(world: LedgerWorld) -> None:
    """Recording goes on, and nothing is lost or counted twice."""
    world.at("2026-03-15T12:00:00Z")
    await world.follow(*BOARDS)
    await tell_a_story(world)
    later = [replace(board, number=board.number + 90, key=f"{board.key}-later") for board in BOARDS]
    story = asyncio.ensure_future(tell_a_story(world, 60, 160))
    for board in later:
        await world.follow(board)
        await asyncio.sleep(0)
    await story
    for board in BOARDS:
        await assert_same(world, board.number, board.number + 90)


async def test_a_board_that_nobody_follows_is_not_found(world: LedgerWorld) -> None:
    """Every read of it says so."""
    run = run_on(BOARD, "2026-03-04")
    user = (await world.swim("ann", 1)).user
    ledger = world.ledger
    for read in (
        ledger.runs(1),
        ledger.groups(1, run),
        ledger.size(1, run, [()]),
        ledger.page(1, run, [()], 0, 10),
        ledger.place(1, run, [()], user),
        ledger.freeze(1),
    ):
        with pytest.raises(NotFound):
            await read


async def test_a_definition_of_a_board_that_nobody_follows_is_let_pass(world: LedgerWorld) -> None:
    """It is not followed because of it."""
    world.ledger.redefine(BOARD)

    with pytest.raises(NotFound):
        await world.ledger.runs(BOARD.number)


async def test_a_board_whose_past_leads_out_of_the_range_cannot_be_followed(world: LedgerWorld) -> None:
    """What was followed before is read as it was; everything else goes on."""
    most = 9_000_000_000_000
    whole_time = replace(BOARD, start=day("2026-02-01"))
    await world.follow(whole_time)
    await world.swim("ann", -most, at="2026-03-01T10:00:00Z")
    for hour in (11, 12):
        await world.swim("ann", most, at=f"2026-03-03T{hour}:00:00Z")
    whole = await world.standings(whole_time)

    with pytest.raises(Invalid):
        await world.ledger.follow(BOARD)

    assert await world.standings(whole_time) == whole
    await world.swim("ben", 1)


async def test_a_forgotten_board_tells_nothing_and_comes_back_whole(world: LedgerWorld) -> None:
    """What happened meanwhile is in it."""
    await world.follow(BOARD)
    await world.swim("ann", 1)
    world.forget(BOARD)
    with pytest.raises(NotFound):
        await world.ledger.runs(1)
    assert list((await world.swim("ann", 2)).boards) == []
    await world.follow(BOARD)
    assert await world.standings(BOARD) == [(1, "ann", 3 * MICROS)]


async def test_forgetting_what_nobody_follows_is_no_error(world: LedgerWorld) -> None:
    """It is gone either way."""
    world.ledger.forget(77)


async def test_following_again_makes_the_rankings_anew(world: LedgerWorld) -> None:
    """With everything that the new definition says."""
    await world.follow(BOARD)
    await world.record(swim("ann", 5), swim("ann", 1), swim("bob", 4))
    await world.follow(replace(BOARD, aggregation="max", order="asc"))
    assert await world.standings(BOARD) == [(1, "bob", 4 * MICROS), (2, "ann", 5 * MICROS)]
    await world.follow(replace(BOARD, metric=HOURS))
    assert await world.standings(BOARD) == []
    await world.swim("ann", 1)
    assert await world.standings(BOARD) == []


async def test_a_new_name_changes_no_ranking(world: LedgerWorld) -> None:
    """Outcomes carry the new definition."""
    await world.follow(BOARD)
    await world.swim("ann", 1)
    world.redefine(replace(BOARD, name="New"))
    outcome = await world.swim("ann", 1)
    assert outcome.boards[0].board.name == "New"
    assert await world.standings(BOARD) == [(1, "ann", 2 * MICROS)]
    await world.restart()
    assert (await world.swim("ann", 1)).boards[0].board.name == "New"


async def test_a_later_end_keeps_what_was_counted(world: LedgerWorld) -> None:
    """And the days that it adds count."""
    ending = replace(BOARD, end=day("2026-03-05"))
    await world.follow(ending)
    await world.swim("ann", 1)
    later = replace(BOARD, end=day("2026-03-10"))
    world.redefine(later)
    world.at("2026-03-08T12:00:00Z")
    await world.swim("ann", 2)
    assert await world.standings(later) == [(1, "ann", 3 * MICROS)]
    await world.restart()
    assert await world.standings(later) == [(1, "ann", 3 * MICROS)]
    assert await world.ledger.runs(1) == [later.schedule.run_at(later.start)]


async def test_a_board_of_points_or_streaks_is_followed_and_empty(world: LedgerWorld) -> None:
    """Events of metrics do not concern it."""
    streaks = make_board(rank_by="streak", metric=None)
    await world.follow(streaks)
    await world.swim("ann", 1)
    assert await world.standings(streaks) == []


async def test_a_board_whose_values_do_not_fit_is_not_followed(world: LedgerWorld) -> None:
    """While nobody looked, a run grew beyond the range though the total did not; the ledger goes on without it."""
    monthly = make_board(run_unit="month", run_interval=1)
    most = "9223372036854"
    for at, laps in [("03-03", most), ("04-10", f"-{most}"), ("03-04", most), ("04-11", f"-{most}")]:
        await world.swim("ann", laps, at=f"2026-{at}T10:00:00Z")
    with pytest.raises(Invalid, match="weekly-laps"):
        await world.ledger.follow(monthly)
    with pytest.raises(NotFound):
        await world.ledger.runs(1)
    assert (await world.swim("ann", 1)).total == MICROS


async def test_a_board_that_is_followed_anew_is_read_meanwhile(world: LedgerWorld) -> None:
    """Until the new rankings are complete, those of before are shown and counted."""
    await world.follow(BOARD)
    await world.swim("ann", 1)
    following = asyncio.ensure_future(world.follow(replace(BOARD, aggregation="count")))
    while not following.done():
        assert await world.order(BOARD) == ["ann"]
        await asyncio.sleep(0)
    await following
    assert await world.standings(BOARD) == [(1, "ann", MICROS)]


async def test_a_failed_change_leaves_the_board_as_it_was(world: LedgerWorld) -> None:
    """Its rankings go on by the definition of before."""
    most = "9223372036854"
    yearly = make_board(run_unit="year", run_interval=1)
    await world.follow(yearly)
    for at, laps in [("03-03", most), ("04-10", f"-{most}"), ("03-04", most), ("04-11", f"-{most}")]:
        await world.swim("ann", laps, at=f"2026-{at}T10:00:00Z")
    with pytest.raises(Invalid):
        await world.ledger.follow(replace(yearly, run_unit="month"))
    assert await world.standings(yearly) == [(1, "ann", 0)]
    await world.swim("ann", 1)
    assert await world.standings(yearly) == [(1, "ann", MICROS)]


async def test_a_frozen_board_stays_as_it_is(world: LedgerWorld) -> None:
    """Events count no more, and who changes attributes stays where they were."""
    boards = BOARDS[:4]
    world.at("2026-03-15T12:00:00Z")
    await world.follow(*boards)
    await tell_a_story(world)
    before = await everything(world.ledger, boards, USERS, [])
    positions = {await world.ledger.freeze(board.number) for board in boards}
    assert positions == {len(await world.ledger.records(0, 10_000))}
    await tell_a_story(world, 60, 90)
    after = await everything(world.ledger, boards, USERS, [])
    del before["users"], after["users"]
    assert after == before
    assert list((await world.swim("user-1", 1)).boards) == []


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


@pytest.mark.parametrize("restarts", [1, 2])
async def test_a_frozen_board_survives_a_restart(world: LedgerWorld, restarts: int) -> None:
    """By the position that its definition keeps, attributes of that moment included."""
    boards = BOARDS[:4]
    world.at("2026-03-15T12:00:00Z")
    await world.follow(*boards)
    await tell_a_story(world)
    before = await everything(world.ledger, boards, USERS, [])
    for board in boards:
        world.redefine(replace(board, finished_position=await world.ledger.freeze(board.number)))
    for restart in range(restarts):
        await tell_a_story(world, 60 + 10 * restart, 70 + 10 * restart)
        await world.restart()
    after = await everything(world.ledger, boards, USERS, [])
    del before["users"], after["users"]
    assert after == before


async def test_a_frozen_board_can_be_made_again(world: LedgerWorld) -> None:
    """From the log as far as it counted, and by the attributes that users had then."""
    boards = BOARDS[:4]
    world.at("2026-03-15T12:00:00Z")
    await world.follow(*boards)
    await tell_a_story(world)
    before = await everything(world.ledger, boards, USERS, [])
    frozen = [replace(board, finished_position=await world.ledger.freeze(board.number)) for board in boards]
    await tell_a_story(world, 60, 90)
    for board in frozen:
        world.forget(board)
        await world.follow(board)
    after = await everything(world.ledger, boards, USERS, [])
    del before["users"], after["users"]
    assert after == before


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


async def test_boards_of_another_scope_know_other_users(world: LedgerWorld) -> None:
    """The same id elsewhere is somebody else."""
    elsewhere = replace(LAPS, number=12, scope=2)
    board = make_board(10, "elsewhere", scope=2, metric=elsewhere, breakdown=(POOL,))
    await world.follow(BOARD, board)
    east = {"attributes": {"pool": "east"}}
    await world.record(Entry(2, "ann", east, elsewhere, 7 * MICROS), swim("ann", 3, attributes={"pool": "west"}))
    assert await world.standings(BOARD) == [(1, "ann", 3 * MICROS)]
    assert await world.standings(board, ("east",)) == [(1, "ann", 7 * MICROS)]

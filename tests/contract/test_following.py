"""Boards that come later than their events, change, go, and are frozen."""

import asyncio
from dataclasses import replace

import pytest

from palmares.domain.board import Board
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.local_time import DAY
from palmares.domain.snapshot import DAYS_KEPT
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry
from tests.contract.story import BOARD, BOARDS, SOME_BOARDS, all_that_is_told, tell_a_story
from tests.ledger_world import LedgerWorld, run_on, swam, swim
from tests.world import HOURS, LAPS, LEVEL, POOL, day, make_board, make_system

pytestmark = pytest.mark.anyio

WEEKLY_POOLS = make_board(20, "weekly-pools", run_unit="day", run_interval=7, breakdown=(POOL,))
EAST, WEST = ("east",), ("west",)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: str(board.key))
async def test_following_later_is_like_following_from_the_start(world: LedgerWorld, board: Board) -> None:
    """Rankings are a function of the events, not of when somebody began to look: past runs, groups, days and all."""
    later = replace(board, number=90, key="later", id="later")
    await world.follow(board)
    await tell_a_story(world)
    await world.follow(later)
    await assert_same(world, board.number, later.number)
    await tell_a_story(world, 60, 90)
    await assert_same(world, board.number, later.number)


async def assert_same(world: LedgerWorld, one: int, other: int) -> None:
    boards = [replace(world.boards[number], key="same") for number in (one, other)]
    [first, second] = [await all_that_is_told(world, [board]) for board in boards]
    assert first == second
    assert first, "nothing was compared"


async def test_past_runs_are_made_as_they_were_when_they_closed(world: LedgerWorld) -> None:
    """Each by the attributes of its own end, with the days that it had."""
    await world.record(swim("ann", 3, attributes={"pool": "east"}), swim("bob", 2, attributes={"pool": "east"}))
    world.at("2026-03-06T12:00:00Z")
    await world.change("bob", attributes={"pool": "west"})
    world.at("2026-03-10T12:00:00Z")
    await world.record(swim("ann", 1, attributes={"pool": "west"}), swim("bob", 5))
    await world.advance("2026-06-01T12:00:00Z")
    await world.change("ann", attributes={"pool": None})

    await world.follow(WEEKLY_POOLS)

    assert await world.standings(WEEKLY_POOLS, EAST) == [(1, "ann", 3 * MICROS)]
    assert await world.standings(WEEKLY_POOLS, WEST) == [(1, "bob", 2 * MICROS)]
    assert await world.order(WEEKLY_POOLS, WEST, on="2026-03-10") == ["bob", "ann"]
    assert await world.state(WEEKLY_POOLS) == await world.state(WEEKLY_POOLS, on="2026-03-10") == (True, 0, 0)
    assert await world.history(WEEKLY_POOLS, "bob") == [
        ("03-04", 2, 2),
        ("03-05", 2, 2),
        *((f"03-{date:02}", 1, 2) for date in range(6, 10)),
    ]
    assert [line[1:] for line in await world.history(WEEKLY_POOLS, "ann", on="2026-03-10")] == [(2, 1)] * 7


async def test_a_run_that_goes_on_is_made_with_the_days_that_are_over(world: LedgerWorld) -> None:
    """Today is not among them yet; at midnight it will be."""
    await world.swim("ann", 1)
    world.at("2026-03-06T12:00:00Z")
    await world.swim("bob", 2)
    await world.follow(BOARD)
    assert await world.history(BOARD, "ann") == [("03-04", 1, 1), ("03-05", 1, 1)]
    await world.advance("2026-03-07T00:00:00Z")
    assert await world.history(BOARD, "ann") == [("03-04", 1, 1), ("03-05", 1, 1), ("03-06", 2, 1)]


async def test_days_in_which_nobody_is_ranked_any_more_are_made_too(world: LedgerWorld) -> None:
    """Also when the days on which somebody was are too long ago to be kept."""
    pros, later = make_board(30, "pros", filters=((LEVEL, "pro"),)), make_board(31, "later", filters=((LEVEL, "pro"),))
    await world.follow(pros)
    await world.swim("ann", 1, attributes={"level": "pro"})
    world.at("2026-03-06T12:00:00Z")
    await world.change("ann", attributes={"level": None})
    world.clock.now += 3 * DAYS_KEPT // 2 * DAY
    await world.ledger.advance(world.clock())
    await world.follow(later)
    assert [line[1:] for line in await world.history(pros, "ann")] == [(None, None)] * DAYS_KEPT
    assert await world.history(later, "ann") == await world.history(pros, "ann")


async def test_attributes_of_events_are_not_those_of_their_user(world: LedgerWorld) -> None:
    """Whatever their keys are, and also when the past is lived through once more."""
    event = swim("ann", 3, attributes={"pool": "east"})
    event.attributes = {"pool": "west", "attributes": "x", "stroke": "free"}
    await world.record(event)
    world.at("2026-03-10T12:00:00Z")
    await world.record(replace(event, occurred_at=world.clock() - 7 * DAY, history=True, changes={}))
    await world.follow(BOARD, WEEKLY_POOLS)
    assert await world.standings(BOARD) == await world.standings(WEEKLY_POOLS, EAST) == [(1, "ann", 6 * MICROS)]
    assert await world.standings(WEEKLY_POOLS, WEST) == []


async def test_late_events_of_before_are_ignored_or_revise(world: LedgerWorld) -> None:
    """As the board says, and what was ignored is counted."""
    ignoring = make_board(1, "ignoring", run_unit="day", run_interval=7)
    revising = make_board(2, "revising", run_unit="day", run_interval=7, late_events="revise")
    await world.swim("ann", 3)
    world.at("2026-03-10T12:00:00Z")
    await world.swim("bob", 5, at="2026-03-04T12:00:00Z")
    await world.record(swam("cat", 1, "2026-03-04T13:00:00Z"))
    await world.follow(ignoring, revising)
    assert await world.order(ignoring) == ["ann", "cat"]
    assert await world.order(revising) == ["bob", "ann", "cat"]
    assert (await world.state(ignoring)).ignored_late_events == 1
    assert (await world.state(revising)).ignored_late_events == 0
    assert [line.rank for line in await world.history(revising, "bob")] == [None] * 5 + [1]
    assert [line.rank for line in await world.history(ignoring, "cat")] == [2] * 6


async def test_runs_close_on_while_a_board_is_made(world: LedgerWorld) -> None:
    """Time goes on over the ends of days and runs, and all is as if the board had been there."""
    twin = replace(WEEKLY_POOLS, number=21)
    await world.follow(WEEKLY_POOLS)
    await tell_a_story(world, 0, 30)
    following = asyncio.ensure_future(world.follow(twin))
    await asyncio.sleep(0)
    await world.advance("2026-03-12T12:00:00Z")
    await tell_a_story(world, 30, 60)
    await following
    await assert_same(world, 20, 21)


async def test_progress_is_told_while_a_board_is_made(world: LedgerWorld) -> None:
    """From 0 to 1, never less than before, and nothing when there is nothing to do."""
    await tell_a_story(world)
    told: list[float] = []
    assert world.ledger.progress(BOARD.number) is None
    following = asyncio.ensure_future(world.follow(BOARD))
    while not following.done():
        progress = world.ledger.progress(BOARD.number)
        if progress is not None:
            told.append(progress)
        await asyncio.sleep(0)
    await following
    assert told == sorted(told)
    assert all(0 <= progress <= 1 for progress in told)
    assert world.ledger.progress(BOARD.number) is None


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_a_board_that_was_followed_late_is_the_same_after_opening_again(world: LedgerWorld, how: str) -> None:
    """Nothing of its past is lost."""
    await tell_a_story(world)
    await world.follow(*SOME_BOARDS)
    before = await all_that_is_told(world, SOME_BOARDS)
    await world.reopen(how)
    assert await all_that_is_told(world, SOME_BOARDS) == before


async def test_following_a_followed_board_again_changes_nothing(world: LedgerWorld) -> None:
    """Its past is made anew, and comes out as it was."""
    await world.follow(*SOME_BOARDS)
    await tell_a_story(world)
    before = await all_that_is_told(world, SOME_BOARDS)
    await world.follow(*SOME_BOARDS)
    assert await all_that_is_told(world, SOME_BOARDS) == before


async def test_events_that_come_while_a_board_is_made_are_in_it(world: LedgerWorld) -> None:
    """Recording goes on, and nothing is lost or counted twice."""
    await world.follow(*SOME_BOARDS)
    await tell_a_story(world)
    later = [replace(board, number=board.number + 90, key=f"{board.key}-later") for board in SOME_BOARDS]
    story = asyncio.ensure_future(tell_a_story(world, 60, 110))
    for board in later:
        await world.follow(board)
        await asyncio.sleep(0)
    await story
    for board in SOME_BOARDS:
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


async def test_a_board_of_points_is_empty_while_nobody_earned_any(world: LedgerWorld) -> None:
    """Events of metrics do not concern it."""
    points = make_board(
        rank_by="points", metric=None, points_system=make_system().counter, run_unit="day", run_interval=7
    )
    await world.follow(points)
    await world.swim("ann", 1)
    await world.advance("2026-03-12T12:00:00Z")
    assert await world.standings(points) == []
    assert await world.ledger.runs(points.number) == []


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


async def test_boards_of_another_scope_know_other_users(world: LedgerWorld) -> None:
    """The same id elsewhere is somebody else."""
    elsewhere = replace(LAPS, number=12, scope=2)
    board = make_board(10, "elsewhere", scope=2, metric=elsewhere, breakdown=(POOL,))
    await world.follow(BOARD, board)
    east = {"attributes": {"pool": "east"}}
    await world.record(Entry(2, "ann", east, elsewhere, 7 * MICROS), swim("ann", 3, attributes={"pool": "west"}))
    assert await world.standings(BOARD) == [(1, "ann", 3 * MICROS)]
    assert await world.standings(board, ("east",)) == [(1, "ann", 7 * MICROS)]

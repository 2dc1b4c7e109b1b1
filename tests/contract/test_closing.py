"""A run is final once its last day is over everywhere, and from then on it stays as it is."""

import asyncio
from dataclasses import replace
from typing import Any, get_args

import pytest

from palmares.domain.board import Board, Numbering
from palmares.domain.errors import Invalid
from palmares.domain.run import Run
from palmares.domain.value import MICROS
from tests.ledger_world import LedgerWorld, everything, rankings_of, run_on, swim
from tests.world import LEVEL, POOL, day, make_board

pytestmark = pytest.mark.anyio

WEEKLY = make_board(1, "weekly", run_unit="day", run_interval=7)
DAILY = make_board(2, "daily", run_unit="day", run_interval=1)
POOLS = make_board(3, "pools", run_unit="day", run_interval=7, breakdown=(POOL,))
PROS = make_board(4, "pros", run_unit="day", run_interval=7, filters=((LEVEL, "pro"),))
# The week of these boards that begins on 2026-03-02 is over everywhere at this instant.
CLOSING = "2026-03-09T12:00:00Z"
JUST_BEFORE = "2026-03-09T11:59:59.999999Z"
EAST, WEST = ("east",), ("west",)


async def test_a_run_is_final_at_noon_utc_on_the_day_after_its_last(world: LedgerWorld) -> None:
    """Not a microsecond earlier: until then it is Sunday somewhere."""
    await world.follow(WEEKLY)
    await world.swim("ann", 1)
    assert await world.state(WEEKLY) == (False, 0, 0)
    await world.advance(JUST_BEFORE)
    assert await world.state(WEEKLY) == (False, 0, 0)
    await world.advance(CLOSING)
    assert await world.state(WEEKLY) == (True, 0, 0)
    assert await world.state(WEEKLY, on="2026-03-09") == (False, 0, 0)


async def test_the_last_moment_in_the_latest_zone_counts(world: LedgerWorld) -> None:
    """At UTC-12 the week ends when it is noon in UTC."""
    await world.follow(WEEKLY)
    world.at(JUST_BEFORE)
    await world.swim("ann", 3, tz="Etc/GMT+12")
    world.at(CLOSING)
    await world.swim("ann", 4)
    assert await world.standings(WEEKLY) == [(1, "ann", 3 * MICROS)]
    assert await world.standings(WEEKLY, on="2026-03-09") == [(1, "ann", 4 * MICROS)]


@pytest.mark.parametrize(
    ("tz", "last"),
    [
        ("Pacific/Kiritimati", "2026-03-08T10:00:00Z"),
        ("Asia/Tokyo", "2026-03-08T15:00:00Z"),
        ("Europe/Berlin", "2026-03-08T23:00:00Z"),
        (None, "2026-03-09T00:00:00Z"),
        ("America/New_York", "2026-03-09T04:00:00Z"),
        ("Pacific/Honolulu", "2026-03-09T10:00:00Z"),
        ("Etc/GMT+12", "2026-03-09T12:00:00Z"),
    ],
)
async def test_everybody_has_the_whole_week(world: LedgerWorld, tz: str | None, last: str) -> None:
    """Up to the user's own midnight, daylight saving included, though the run is not final before the last of them."""
    await world.follow(WEEKLY)
    await world.change("ann", tz=tz)
    world.at(last)
    world.clock.now -= 1
    await world.swim("ann", 1)
    world.clock.now += 1
    await world.swim("ann", 2)
    await world.advance("2026-03-10T00:00:00Z")
    assert await world.standings(WEEKLY) == [(1, "ann", MICROS)]
    assert await world.standings(WEEKLY, on="2026-03-09") == [(1, "ann", 2 * MICROS)]


async def test_the_next_run_goes_on_while_one_closes(world: LedgerWorld) -> None:
    """Two days of a daily board are live at once; only the one that is over becomes final."""
    await world.follow(DAILY)
    world.at("2026-03-05T11:00:00Z")
    await world.record(
        swim("west", 1, tz="Etc/GMT+12"), swim("here", 2, tz="Europe/Berlin"), swim("east", 3, tz="Pacific/Kiritimati")
    )
    dates = ["2026-03-04", "2026-03-05", "2026-03-06"]
    assert [await world.order(DAILY, on=date) for date in dates] == [["west"], ["here"], ["east"]]
    await world.advance("2026-03-05T12:00:00Z")
    await world.record(swim("west", 1), swim("here", 1), swim("east", 1))
    assert [(await world.state(DAILY, on=date)).final for date in dates] == [True, False, False]
    assert await world.standings(DAILY, on="2026-03-04") == [(1, "west", MICROS)]
    assert await world.order(DAILY, on="2026-03-05") == ["here", "west"]
    assert await world.standings(DAILY, on="2026-03-06") == [(1, "east", 4 * MICROS)]


KINDS = [
    *(make_board(10 + place, name, numbering=name) for place, name in enumerate(get_args(Numbering))),
    make_board(20, "ascending", order="asc", ties="last"),
    make_board(21, "capped", max_participants=3, numbering="competition"),
    make_board(22, "grouped", breakdown=(POOL, LEVEL), numbering="dense"),
    make_board(23, "grouped and capped", breakdown=(POOL,), max_participants=2),
    make_board(24, "filtered", filters=((LEVEL, "pro"),), aggregation="max"),
]


@pytest.mark.parametrize("board", KINDS, ids=lambda board: str(board.key))
async def test_a_final_run_is_read_like_a_live_one(world: LedgerWorld, board: Board) -> None:
    """Rows, places, groups and their unions, with ties and all: only its state tells that it is over."""
    weekly = replace(board, run_unit="day", run_interval=7)
    await world.follow(weekly)
    users = [f"user-{number}" for number in range(12)]
    for number, user_id in enumerate(users):
        attributes = {"pool": ["east", "west", None][number % 3], "level": ["pro", "new"][number % 2]}
        await world.swim(user_id, number % 4, attributes=attributes)
    await world.advance(JUST_BEFORE)
    live = await all_who_are_ranked(world, weekly)
    await world.advance(CLOSING)
    assert (await world.state(weekly)).final
    assert await all_who_are_ranked(world, weekly) == live
    assert any(len(page) > 1 for page in live[0].values()), "nothing was compared"


async def all_who_are_ranked(world: LedgerWorld, board: Board) -> tuple[Any, ...]:
    """Every ranking and the union of all, and for each row of these the place of its user, there and in the union."""
    run, pages = run_on(board, "2026-03-04"), await rankings_of(world.ledger, [board])
    groups = list(await world.ledger.groups(board.number, run))
    users = [await world.user(user_id) for user_id in sorted({row.user_id for page in pages.values() for row in page})]
    found = []
    for user in users:
        own = await world.ledger.group(board.number, run, user)
        assert own is not None
        found += [(own, await world.ledger.place(board.number, run, some, user)) for some in ([own], groups)]
    sizes = {group: await world.ledger.size(board.number, run, [group]) for group in groups}
    halves = [await world.ledger.page(board.number, run, groups, start, start + 2) for start in range(len(users))]
    return pages, found, sizes, halves


async def test_in_a_final_run_who_is_outside_the_cap_has_no_place(world: LedgerWorld) -> None:
    """While it is live, such a user has a value without a rank."""
    capped = replace(WEEKLY, max_participants=1)
    await world.follow(capped)
    await world.record(swim("ann", 2), swim("bob", 1))
    assert await world.place(capped, "bob") == (None, None, MICROS)
    await world.advance(CLOSING)
    assert await world.place(capped, "bob") is None
    assert await world.place(capped, "ann") == (0, 1, 2 * MICROS)
    assert await world.standings(capped) == [(1, "ann", 2 * MICROS)]


async def test_groups_stay_as_they_were_at_the_end(world: LedgerWorld) -> None:
    """Who moves before the end moves with everything; who moves later moves in the runs that go on."""
    await world.follow(POOLS)
    await world.record(swim("ann", 3, attributes={"pool": "east"}), swim("bob", 2, attributes={"pool": "east"}))
    world.at(JUST_BEFORE)
    await world.change("ann", attributes={"pool": "west"})
    world.at(CLOSING)
    await world.swim("ann", 1, attributes={"pool": "east"})
    await world.swim("bob", 1, attributes={"pool": "west"})
    assert await world.standings(POOLS, WEST) == [(1, "ann", 3 * MICROS)]
    assert await world.standings(POOLS, EAST) == [(1, "bob", 2 * MICROS)]
    assert await world.order(POOLS, EAST, on="2026-03-09") == ["ann"]
    assert await world.order(POOLS, WEST, on="2026-03-09") == ["bob"]


async def test_the_group_of_a_user_is_that_of_the_run(world: LedgerWorld) -> None:
    """In a final run the one of its end, in a live one the present one, whether there is a value yet or not."""
    await world.follow(POOLS)
    await world.swim("ann", 3, attributes={"pool": "east"})
    await world.advance(CLOSING)
    ann = (await world.change("ann", attributes={"pool": "west"})).user
    assert await world.ledger.group(3, run_on(POOLS, "2026-03-04"), ann) == EAST
    assert await world.ledger.group(3, run_on(POOLS, "2026-03-09"), ann) == WEST
    ann = (await world.change("ann", attributes={"pool": None})).user
    assert await world.ledger.group(3, run_on(POOLS, "2026-03-04"), ann) == EAST
    assert await world.ledger.group(3, run_on(POOLS, "2026-03-09"), ann) is None


async def test_who_takes_part_stays_as_it_was_at_the_end(world: LedgerWorld) -> None:
    """Who matches the filter later comes into no final run, and who matches no longer is not thrown out."""
    await world.follow(PROS)
    await world.record(
        swim("ann", 3, attributes={"level": "pro"}), swim("bob", 5), swim("cat", 7, attributes={"level": "pro"})
    )
    world.at(JUST_BEFORE)
    await world.change("cat", attributes={"level": None})
    world.at(CLOSING)
    await world.change("ann", attributes={"level": "new"})
    await world.change("bob", attributes={"level": "pro"})
    assert await world.standings(PROS) == [(1, "ann", 3 * MICROS)]
    assert await world.place(PROS, "bob") is None
    assert await world.place(PROS, "ann") == (0, 1, 3 * MICROS)


async def test_names_follow_the_user_into_final_runs(world: LedgerWorld) -> None:
    """They are no part of the ranking."""
    await world.follow(WEEKLY)
    await world.swim("ann", 1, name="Ann")
    await world.advance(CLOSING)
    await world.change("ann", name="Anna")
    assert [row.user_name for row in await world.rows(WEEKLY)] == ["Anna"]


async def test_recording_does_what_is_due_by_itself(world: LedgerWorld) -> None:
    """Nobody told of the time: what is recorded after the end does not reach into the run."""
    await world.follow(POOLS)
    await world.swim("ann", 3, attributes={"pool": "east"})
    world.at("2026-03-20T00:00:00Z")
    await world.change("ann", attributes={"pool": "west"})
    assert await world.state(POOLS) == (True, 0, 0)
    assert await world.standings(POOLS, EAST) == [(1, "ann", 3 * MICROS)]


async def test_a_refused_entry_leaves_the_time_where_it_came_to(world: LedgerWorld) -> None:
    """What was due before it is done, and nothing else has happened."""
    await world.follow(WEEKLY)
    await world.swim("ann", 3)
    world.at(CLOSING)
    with pytest.raises(Invalid):
        await world.swim("ann", 1, tz="nowhere")
    await world.ledger.advance(world.clock())
    assert await world.state(WEEKLY) == (True, 0, 0)
    assert await world.standings(WEEKLY) == [(1, "ann", 3 * MICROS)]


async def test_all_that_was_due_is_done_after_a_long_time(world: LedgerWorld) -> None:
    """Many runs at once, each as of its own end, and in no other way than one after the other."""
    step_by_step = replace(POOLS, number=5, key="step by step")
    await world.follow(POOLS)
    for week in range(3):
        for user, pool in enumerate(["east", "west"]):
            at = f"2026-03-{4 + 7 * week:02}T12:00:00Z"
            world.at(at)
            await world.swim(f"user-{user}", week + user + 1, attributes={"pool": pool if week else "east"})
    await world.advance("2026-05-01T00:00:00Z")
    assert [(await world.state(POOLS, on=f"2026-03-{date}")).final for date in ("04", "11", "18")] == [True] * 3
    assert await world.order(POOLS, EAST) == ["user-1", "user-0"]
    assert await world.order(POOLS, WEST) == []
    assert await world.order(POOLS, EAST, on="2026-03-18") == ["user-0"]
    assert await world.order(POOLS, WEST, on="2026-03-18") == ["user-1"]
    await world.follow(step_by_step)
    assert await world.order(step_by_step, EAST) == ["user-1", "user-0"]


async def test_small_steps_and_a_leap_come_to_the_same(world: LedgerWorld) -> None:
    """`next_due` tells every instant at which something is to be done, and each lies ahead of the one before."""
    await world.follow(WEEKLY, DAILY, POOLS)
    await world.swim("ann", 3, attributes={"pool": "east"}, tz="Etc/GMT+12")
    leap = replace(POOLS, number=6, key="leap")
    world.at("2026-03-12T00:00:00Z")
    steps = [world.ledger.next_due()]
    while steps[-1] <= world.clock():
        await world.ledger.advance(steps[-1])
        steps.append(world.ledger.next_due())
    assert steps == sorted(set(steps))
    assert (await world.state(POOLS)).final
    assert [line.day for line in await world.history(POOLS, "ann")] == [f"03-{date:02}" for date in range(4, 10)]
    await world.follow(leap)
    assert await world.history(leap, "ann") == await world.history(POOLS, "ann")


async def test_what_is_due_is_told_in_time(world: LedgerWorld) -> None:
    """A run that somebody is ranked in has its day to keep at midnight, and on its last day it closes at noon."""
    await world.follow(WEEKLY)
    await world.advance("2026-03-08T18:00:00Z")
    await world.swim("ann", 1)
    world.at("2026-03-09T00:00:00Z")
    assert world.clock() >= world.ledger.next_due() > world.clock() - 7 * 3_600_000_000
    await world.ledger.advance(world.clock())
    world.at(CLOSING)
    assert world.clock() >= world.ledger.next_due() > world.clock() - 13 * 3_600_000_000
    await world.ledger.advance(world.clock())
    assert world.ledger.next_due() > world.clock()


async def test_time_that_was_reached_already_changes_nothing(world: LedgerWorld) -> None:
    """Advancing twice, or to an earlier instant, does nothing."""
    await world.follow(WEEKLY, POOLS)
    await world.swim("ann", 3, attributes={"pool": "east"})
    await world.advance("2026-03-11T00:00:00Z")
    await world.swim("ann", 2, attributes={"pool": "west"})
    before = await everything(world.ledger, [WEEKLY, POOLS], ["ann"], [])
    for text in ("2026-03-11T00:00:00Z", CLOSING, "2026-03-01T00:00:00Z"):
        world.at(text)
        await world.ledger.advance(world.clock())
    assert await everything(world.ledger, [WEEKLY, POOLS], ["ann"], []) == before


async def test_recording_goes_on_while_runs_close(world: LedgerWorld) -> None:
    """Whatever is asked for together: what comes at the end or later is in no run that is over."""
    await world.follow(DAILY, WEEKLY)
    await world.record(*(swim(f"user-{number}", 1) for number in range(20)))
    world.at(CLOSING)
    now = world.clock()
    await asyncio.gather(
        *(world.swim(f"user-{number}", 10) for number in range(10)),
        world.ledger.advance(now),
        *(world.swim(f"user-{number}", 10) for number in range(10, 20)),
        world.ledger.advance(now),
    )
    for board in (DAILY, WEEKLY):
        assert {standing.value for standing in await world.standings(board)} == {MICROS}
        today = await world.standings(board, on="2026-03-09")
        assert {standing.value for standing in today} == {10 * MICROS}
        assert len(today) == 20


async def test_a_run_without_end_is_never_final(world: LedgerWorld) -> None:
    """It waits for no day."""
    open_board = make_board()
    await world.follow(open_board)
    await world.swim("ann", 1)
    await world.advance("2027-06-01T00:00:00Z")
    assert await world.state(open_board) == (False, 0, 0)
    await world.swim("ann", 1)
    assert await world.standings(open_board) == [(1, "ann", 2 * MICROS)]


async def test_the_last_run_closes_with_its_board(world: LedgerWorld) -> None:
    """It is cut at the board's last day."""
    ending = replace(WEEKLY, end=day("2026-03-11"))
    await world.follow(ending)
    world.at("2026-03-10T12:00:00Z")
    await world.swim("ann", 1)
    await world.advance("2026-03-12T11:59:59Z")
    assert not (await world.state(ending, on="2026-03-10")).final
    await world.advance("2026-03-12T12:00:00Z")
    assert (await world.state(ending, on="2026-03-10")).final
    assert await world.ledger.runs(1) == [Run(day("2026-03-09"), day("2026-03-11"))]


async def test_a_later_end_keeps_the_last_run_open(world: LedgerWorld) -> None:
    """It closes when it is over by the definition of now."""
    ending = make_board(end=day("2026-03-05"))
    later = replace(ending, end=day("2026-03-10"))
    await world.follow(ending)
    await world.swim("ann", 1)
    world.redefine(later)
    await world.advance("2026-03-08T12:00:00Z")
    await world.swim("ann", 2)
    assert not (await world.state(later)).final
    await world.advance("2026-03-11T12:00:00Z")
    assert (await world.state(later)).final
    assert await world.standings(later) == [(1, "ann", 3 * MICROS)]


async def test_a_run_that_nobody_joined_is_final_and_empty(world: LedgerWorld) -> None:
    """Reading it is no error, and it is not among the runs that anyone is in."""
    await world.follow(WEEKLY)
    await world.advance("2026-03-12T00:00:00Z")
    await world.swim("ann", 1)
    run = run_on(WEEKLY, "2026-03-04")
    assert await world.state(WEEKLY) == (True, 0, 0)
    assert await world.ledger.runs(1) == [run_on(WEEKLY, "2026-03-12")]
    assert list(await world.ledger.groups(1, run)) == []
    assert await world.standings(WEEKLY) == []
    assert await world.place(WEEKLY, "ann") is None
    assert await world.history(WEEKLY, "ann") == []


async def test_a_run_in_which_nobody_is_ranked_in_the_end_is_told_no_more(world: LedgerWorld) -> None:
    """Values that belong to no group are no part of what is final, also when their users join later."""
    await world.follow(PROS)
    await world.swim("ann", 1)
    run = run_on(PROS, "2026-03-04")
    assert await world.ledger.runs(4) == [run]
    await world.advance(CLOSING)
    await world.change("ann", attributes={"level": "pro"})
    assert await world.ledger.runs(4) == []
    assert await world.state(PROS) == (True, 0, 0)
    assert list(await world.ledger.groups(4, run)) == []
    assert await world.standings(PROS) == []
    assert await world.ledger.group(4, run, await world.user("ann")) is None
    assert await world.history(PROS, "ann") == []


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_final_runs_are_the_same_after_opening_again(world: LedgerWorld, how: str) -> None:
    """Closed down or killed."""
    boards = [WEEKLY, DAILY, POOLS, PROS]
    users = [f"user-{number}" for number in range(5)]
    await world.follow(*boards)
    for number, user_id in enumerate(users):
        attributes = {"pool": ["east", "west"][number % 2], "level": ["pro", None][number % 2]}
        await world.swim(user_id, number % 3, attributes=attributes)
    await world.advance(CLOSING)
    await world.swim(users[0], 1, attributes={"pool": "west"})
    before = await everything(world.ledger, boards, users, [])
    for _ in range(2):
        await world.reopen(how)
        assert await everything(world.ledger, boards, users, []) == before
        assert await world.state(POOLS) == (True, 0, 0)


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_what_was_due_while_it_was_down_is_done_afterwards(world: LedgerWorld, how: str) -> None:
    """As if it had been up: runs, groups, and the days of the history."""
    await world.follow(WEEKLY, DAILY, POOLS)
    await world.swim("ann", 3, attributes={"pool": "east"})
    world.at("2026-03-12T06:00:00Z")
    await world.reopen(how)
    assert await world.state(WEEKLY) == await world.state(POOLS) == await world.state(DAILY) == (True, 0, 0)
    await world.change("ann", attributes={"pool": "west"})
    assert await world.standings(POOLS, EAST) == [(1, "ann", 3 * MICROS)]
    assert [line.day for line in await world.history(WEEKLY, "ann")] == [f"03-{date:02}" for date in range(4, 10)]
    assert [line.day for line in await world.history(DAILY, "ann")] == ["03-04", "03-05"]


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_who_records_first_after_a_long_sleep_comes_too_late(world: LedgerWorld, how: str) -> None:
    """Also when nobody has told the time before."""
    await world.follow(POOLS)
    await world.swim("ann", 3, attributes={"pool": "east"})
    world.at("2026-03-12T06:00:00Z")
    await getattr(world, how)()
    await world.change("ann", attributes={"pool": "west"})
    assert await world.standings(POOLS, EAST) == [(1, "ann", 3 * MICROS)]
    await world.reopen(how)
    assert await world.standings(POOLS, EAST) == [(1, "ann", 3 * MICROS)]
